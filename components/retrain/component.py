"""The KFP contract of retrain."""

from kfp import dsl
from kfp.dsl import Artifact, Input, Output


@dsl.component(base_image="seqline/serve:0.1.0", install_kfp_package=False)
def retrain(
    window: Input[Artifact],
    monitored: Input[Artifact],
    retraining: Output[Artifact],
    options: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
    api_endpoint: str = "",
    run: str = "",
) -> None:
    """Starts a run of the training pipeline, unless one runs, was started lately, or has nothing new to learn from.

    Never cache this task: it starts something.

    Args:
        window: The window, from collect.
        monitored: The alarms, from monitor.
        retraining: The run that was started, or why none was.
        options: Options of retraining; docs/parameters.md lists them under `retraining`.
        api_endpoint: Host of the Vertex API, for Private Service Connect; empty for the region's own.
        run: On Vertex AI this run, projects/P/locations/L/pipelineJobs/ID, whose settings the new run gets; the target
            sets it, because a laptop does not know the placeholder.
    """
    from pathlib import Path

    from seqline.components.retrain.options import Options
    from seqline.components.retrain.stage import retrain as start

    paths = Path(window.path), Path(monitored.path), Path(retraining.path)
    made = start(*paths, run, api_endpoint, retraining.uri, Options(**options))
    retraining.metadata.update(run=made.run, started=made.started, outcome=made.outcome)
