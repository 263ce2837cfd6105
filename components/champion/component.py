"""The KFP contract of champion."""

from kfp import dsl
from kfp.dsl import Input, Model, Output


@dsl.component(base_image="seqline/serve:0.1.0", install_kfp_package=False)
def champion(model: Input[Model], champion: Output[Model], endpoint: str = "") -> None:
    """Looks up the live version that the challenger must beat.

    Args:
        model: The challenger.
        champion: The live version's model; nothing is at its address where there is none, or where it is this very
            model.
        endpoint: Folder of the local endpoint; empty for none.
    """
    from pathlib import Path

    from components.champion.stage import champion as find

    found = find(Path(model.path), endpoint)
    # Either address stays the same from run to run, so that evaluating what is there can be a cache hit.
    champion.uri = str(found) if found else f"{model.uri}.no-champion"
