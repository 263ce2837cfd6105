"""The KFP contract of summarize, the exit handler."""

from kfp import dsl
from kfp.dsl import HTML, Artifact, Output, PipelineTaskFinalStatus


@dsl.component(base_image="seqline/evaluate:0.1.0", install_kfp_package=False)
def summarize(
    status: PipelineTaskFinalStatus,
    runs_root: str,
    run_name: str,
    summary: Output[Artifact],
    report: Output[HTML],
) -> None:
    """Writes down what the run did and came to, whether it succeeded or failed.

    Args:
        status: How the run ended; KFP fills it in for an exit handler.
        runs_root: The pipeline root: dsl.PIPELINE_ROOT_PLACEHOLDER.
        run_name: The run's name: dsl.PIPELINE_JOB_NAME_PLACEHOLDER.
        summary: State, error, figures, decision, deployment and samples of the run.
        report: The same as one page.
    """
    from pathlib import Path

    from seqline.components.summary.stage import Ending
    from seqline.components.summary.stage import summarize as run

    ending = Ending(status.state, status.pipeline_task_name or "", status.error_message or "")
    found = run(runs_root, run_name, Path(summary.path), Path(report.path), ending)
    summary.metadata.update(state=found.state, headline=found.headline())
