"""The champion stage: looks up the live version."""

import logging
from pathlib import Path

from components.export.exported import ExportedModel
from components.serve.endpoint import Endpoint

log = logging.getLogger(__name__)


def champion(model: Path, endpoint: str = "") -> Path | None:
    """Finds the live version, if it is another model than the challenger.

    Args:
        model: The challenger, an exported model's folder.
        endpoint: Folder of the local endpoint; empty for none.

    Returns:
        The live version's model folder; None where there is none, or where it is this very model.

    Raises:
        UserError: If the challenger's folder holds no model.
    """
    challenger = ExportedModel(model).read_description().fingerprint
    live = Endpoint(Path(endpoint)).live() if endpoint else None
    if live is None:
        log.info("there is no champion")
        return None
    if live.fingerprint == challenger:
        log.info("the live version %d is this very model", live.version)
        return None
    log.info("the champion is version %d", live.version)
    return Endpoint(Path(endpoint)).model(live.version)
