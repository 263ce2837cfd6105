"""The KFP contract of collect."""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl import Artifact, Output


@dsl.component(base_image="seqline/serve:0.1.0", install_kfp_package=False)
def collect(
    endpoint: str,
    window: Output[Artifact],
    monitoring: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
    retraining: dict = {},  # noqa: B006
    api_endpoint: str = "",
) -> NamedTuple("Outputs", monitoring=dict, retraining=dict):  # type: ignore[valid-type]
    """Collects the sampled requests of a window, and what the live version's traffic is compared with.

    Never cache this task: the requests and the live version change behind the same addresses. As the first task it
    checks the options of all later stages.

    Args:
        endpoint: The endpoint whose traffic is monitored: a local folder, projects/P/locations/L/endpoints/NAME on
            Vertex AI, or kserve://NAMESPACE/NAME on KServe.
        window: The requests of the window and of the one before, the feedback, and the reference of the live version.
        monitoring: Options of monitoring; docs/parameters.md lists them.
        retraining: Options of retrain, which are checked here.
        api_endpoint: Host of the Vertex API, for Private Service Connect; empty for the region's own.

    Returns:
        monitoring: Complete options of monitor.
        retraining: Complete options of retrain.
    """
    from pathlib import Path

    from seqline.components.collect.stage import check_and_collect

    found, *sections = check_and_collect(endpoint, Path(window.path), monitoring, retraining, api_endpoint)
    window.metadata.update(requests=found.found, version=found.version, start=found.start, end=found.end)
    return tuple(sections)  # type: ignore[return-value]
