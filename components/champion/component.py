"""The KFP contract of champion."""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl import Input, Model, Output


@dsl.component(base_image="seqline/serve:0.1.0", install_kfp_package=False)
def champion(
    model: Input[Model],
    champion: Output[Model],
    best: Output[Model],
    endpoint: str = "",
    api_endpoint: str = "",
) -> NamedTuple("Outputs", champion_found=dict, best_found=dict, rolled_back=str):  # type: ignore[valid-type]
    """Looks up the versions that the challenger is compared with: the champion, and the best version so far.

    Never cache this task: the live version and its files change behind the same address.

    Args:
        model: The challenger.
        champion: The live version's model; its address does not exist where there is nothing to measure.
        best: The best version's model, likewise.
        endpoint: A local endpoint's folder, projects/P/locations/L/endpoints/NAME on Vertex, or kserve://NAMESPACE/NAME
            on KServe; empty for none.
        api_endpoint: Host of the Vertex API, for Private Service Connect; empty for the region's own.

    Returns:
        For each, whether there is such a version, whether it is this very model, and whether it can be measured; and
        why the challenger must not go live again, if it was rolled back.
    """
    from pathlib import Path

    from seqline.components.champion.stage import champion as find

    found = find(Path(model.path), endpoint, api_endpoint)
    # Either address is the same in every run, so that an evaluation can be a cache hit.
    champion.uri = found.champion.address or f"{model.uri}.no-champion"
    best.uri = found.best.address or f"{model.uri}.no-best"
    return found.champion.to_parameter(), found.best.to_parameter(), found.rolled_back
