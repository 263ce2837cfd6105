"""The KFP contract of deploy."""

from kfp import dsl
from kfp.dsl import Artifact, Input, Model, Output


@dsl.component(base_image="seqline/serve:0.1.0", install_kfp_package=False)
def deploy(
    model: Input[Model],
    decision: Input[Artifact],
    deployment: Output[Artifact],
    vertex_model: Output[Artifact],
    vertex_endpoint: Output[Artifact],
    endpoint: str = "",
    options: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
    api_endpoint: str = "",
    cloud: dict = {},  # noqa: B006
) -> bool:
    """Makes a blessed model the endpoint's live version, in steps with smoke requests.

    Never cache this task: only the endpoint itself knows the live version.

    Args:
        model: The exported model.
        decision: The decision of bless, which must bless this model.
        deployment: Version, address and smoke test.
        vertex_model: The version in Vertex's Model Registry, for the lineage; empty elsewhere.
        vertex_endpoint: The endpoint on Vertex, for the lineage; empty elsewhere.
        endpoint: A local endpoint's folder, projects/P/locations/L/endpoints/NAME on Vertex, or kserve://NAMESPACE/NAME
            on KServe; empty to deploy nothing.
        options: Serving options; docs/parameters.md lists them under `serving`.
        api_endpoint: Host of the Vertex API, for Private Service Connect; empty for the region's own.
        cloud: Key and labels of every resource, as targets.vertex has them: encryption_key, labels.

    Returns:
        Whether the version is in Vertex's Model Registry.
    """
    from pathlib import Path

    from seqline.components.deploy import lineage, stage
    from seqline.components.deploy.options import Cloud, Options

    paths = Path(model.path), Path(decision.path), Path(deployment.path)
    made = stage.deploy(*paths, endpoint, api_endpoint, Options(**options), Cloud(**cloud))
    deployment.metadata.update(live=made.live, version=str(made.version or ""), url=made.url)
    return lineage.trace(made, vertex_model, vertex_endpoint)
