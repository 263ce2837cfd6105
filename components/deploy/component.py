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
    port: int = 8501,
    traffic_steps: list = [10, 50],  # noqa: B006 (KFP reads the default, nothing changes it)
    max_latency_ms: float = 0.0,
    serving_image: str = "",
    serving_machine_type: str = "n1-standard-4",
    serving_max_replicas: int = 1,
    serving_service_account: str = "",
    api_endpoint: str = "",
) -> None:
    """Makes a blessed model the endpoint's live version, in steps and after smoke requests.

    Never cache this task: only the endpoint itself knows what is live.

    Args:
        model: The exported model.
        decision: The decision that blesses it.
        deployment: Version, address and smoke request.
        vertex_model: The version in Vertex's Model Registry, for the lineage; empty elsewhere.
        vertex_endpoint: The endpoint on Vertex, for the lineage; empty elsewhere.
        endpoint: A local endpoint's folder, or projects/P/locations/L/endpoints/NAME on Vertex; empty for nowhere.
        port: Port of the local endpoint's server, if it does not run yet.
        traffic_steps: Shares of the traffic, in percent, that a new version is given on its way to 100.
        max_latency_ms: Longest median time of an answer to a smoke request; 0 for no limit.
        serving_image: The serving image that Vertex runs, by digest.
        serving_machine_type: Machine of each replica on Vertex.
        serving_max_replicas: Most replicas on Vertex.
        serving_service_account: Whom the server on Vertex runs as; empty for the project's default.
        api_endpoint: Host of the Vertex API, for Private Service Connect; empty for the region's own.
    """
    from pathlib import Path

    from seqline.components.deploy import lineage, stage

    options = stage.Options(port, traffic_steps, max_latency_ms)
    serving = stage.Serving(
        serving_image, serving_machine_type, serving_max_replicas, serving_service_account, api_endpoint
    )
    made = stage.deploy(Path(model.path), Path(decision.path), Path(deployment.path), endpoint, options, serving)
    deployment.metadata.update(live=made.live, version=str(made.version or ""), url=made.url)
    lineage.trace(made, vertex_model, vertex_endpoint)
