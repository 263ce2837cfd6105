"""The KFP contract of champion."""

from kfp import dsl
from kfp.dsl import Input, Model, Output


@dsl.component(base_image="seqline/serve:0.1.0", install_kfp_package=False)
def champion(model: Input[Model], champion: Output[Model], endpoint: str = "", api_endpoint: str = "") -> None:
    """Looks up the live version that the challenger must beat.

    Args:
        model: The challenger.
        champion: The live version's model; its address does not exist if there is none, or if it is this very model.
        endpoint: A local endpoint's folder, or projects/P/locations/L/endpoints/NAME on Vertex; empty for none.
        api_endpoint: Host of the Vertex API, for Private Service Connect; empty for the region's own.
    """
    from pathlib import Path

    from seqline.components.champion.stage import champion as find

    # Either address is the same in every run, so that evaluating the champion can be a cache hit.
    champion.uri = find(Path(model.path), endpoint, api_endpoint) or f"{model.uri}.no-champion"
