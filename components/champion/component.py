"""The KFP contract of champion."""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl import Artifact, Input, Model, Output


@dsl.component(base_image="seqline/serve:0.1.0", install_kfp_package=False)
def champion(
    model: Input[Model],
    opponents: Output[Artifact],
    endpoint: str = "",
    api_endpoint: str = "",
) -> NamedTuple("Outputs", champion_found=dict, best_found=dict, rolled_back=str):  # type: ignore[valid-type]
    """Looks up the versions that the challenger is compared with: the champion, and the best version so far.

    Never cache this task: the live version and its files change behind the same address.

    Args:
        model: The challenger.
        opponents: Both versions, as a file.
        endpoint: A local endpoint's folder, projects/P/locations/L/endpoints/NAME on Vertex, or kserve://NAMESPACE/NAME
            on KServe; empty for none.
        api_endpoint: Host of the Vertex API, for Private Service Connect; empty for the region's own.

    Returns:
        For each, whether there is such a version, whether it is the challenger itself, whether it can be measured, and
        where its files are; and why the challenger must not go live again, if it was rolled back. An address is a
        parameter, because the files of an artifact are below the run's folder: Kubeflow's launcher refuses any other
        address.
    """
    from pathlib import Path

    from seqline.artifacts.opponent import write_opponents
    from seqline.components.champion.stage import champion as find

    found = find(Path(model.path), endpoint, api_endpoint)
    write_opponents(Path(opponents.path), {"champion": found.champion, "best": found.best})
    return found.champion.to_parameter(), found.best.to_parameter(), found.rolled_back
