"""The KFP contract of summarize, the exit handler."""

from kfp import dsl
from kfp.dsl import HTML, Artifact, Output, PipelineTaskFinalStatus


@dsl.component(base_image="seqline/evaluate:0.1.0", install_kfp_package=False)
def summarize(
    status: PipelineTaskFinalStatus,
    run_name: str,
    run_id: str,
    summary: Output[Artifact],
    report: Output[HTML],
    reason: str = "",
    notification: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
) -> None:
    """Writes the outcome of the run, whether it succeeded or failed.

    Args:
        status: The run's final status; KFP sets it for an exit handler.
        run_name: The run's name: dsl.PIPELINE_JOB_NAME_PLACEHOLDER.
        run_id: The run's id: dsl.PIPELINE_JOB_ID_PLACEHOLDER. The run's folder has one of the two names.
        summary: State, error, metrics, decision, deployment and samples of the run.
        report: The same as an HTML page.
        reason: Why the run was started; empty if nobody said it.
        notification: Options of notifications.
    """
    from pathlib import Path

    from seqline.components.summary import stage
    from seqline.components.summary.options import NotificationOptions, RunStatus

    final = RunStatus(
        state=status.state,
        task=status.pipeline_task_name or "",
        error=status.error_message or "",
        resource=status.pipeline_job_resource_name or "",
    )
    paths = Path(summary.path), Path(report.path)
    found = stage.summarize(summary.uri, run_name, run_id, *paths, final, NotificationOptions(**notification), reason)
    summary.metadata.update(state=found.state, headline=found.headline())
