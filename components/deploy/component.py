"""The KFP contract of deploy."""

from kfp import dsl
from kfp.dsl import Artifact, Input, Model, Output


@dsl.component(base_image="seqline/serve:0.1.0", install_kfp_package=False)
def deploy(
    model: Input[Model],
    decision: Input[Artifact],
    deployment: Output[Artifact],
    endpoint: str = "",
    port: int = 8501,
) -> None:
    """Makes a blessed model the endpoint's live version, after a smoke request.

    Never cache this task: only the endpoint itself knows what is live.

    Args:
        model: The exported model.
        decision: The decision that blesses it.
        deployment: Version, address and smoke request.
        endpoint: Folder of the local endpoint; empty to deploy nowhere.
        port: Port of the local endpoint's server, if it does not run yet.
    """
    from pathlib import Path

    from components.deploy.stage import Options
    from components.deploy.stage import deploy as run

    made = run(Path(model.path), Path(decision.path), Path(deployment.path), endpoint, Options(port))
    deployment.metadata.update(live=made.live, version=str(made.version or ""), url=made.url)
