"""The champion stage: looks up the live version."""

import logging
from pathlib import Path

from seqline.artifacts.exported_model import ExportedModel
from seqline.errors import UserError

log = logging.getLogger(__name__)


def champion(model: Path, endpoint: str = "", api_endpoint: str = "") -> str | None:
    """Looks up the live version, if it is another model than the challenger.

    Args:
        model: The challenger, an exported model's folder.
        endpoint: A local endpoint's folder, or projects/P/locations/L/endpoints/NAME; empty for none.
        api_endpoint: Host of the Vertex API; empty for the region's own.

    Returns:
        The address of the live version's model, a folder or gs://; None if there is none, or if it is this very model.

    Raises:
        UserError: If the challenger's folder holds no model, or Vertex does not answer.
    """
    challenger = ExportedModel(model).read_description().fingerprint
    live = _find(endpoint, api_endpoint) if endpoint else None
    if live is None:
        log.info("there is no champion")
        return None
    version, fingerprint, address = live
    if challenger.startswith(fingerprint):
        log.info("the live version %d is this very model", version)
        return None
    log.info("the champion is version %d", version)
    return address


def _find(endpoint: str, api_endpoint: str) -> tuple[int, str, str] | None:
    """The live version, its fingerprint (Vertex stores its beginning) and its model's address."""
    if endpoint.startswith("projects/"):
        from google.api_core.exceptions import GoogleAPIError

        from seqline.endpoints.vertex import VertexBackEnd

        try:
            found = VertexBackEnd(endpoint, api_endpoint=api_endpoint).champion()
        except GoogleAPIError as error:
            raise UserError(f"the Model Registry of {endpoint} does not answer: {error}") from error
        return (found.version, found.fingerprint, found.model) if found else None
    from seqline.endpoints.local_endpoint import local_endpoint

    local = local_endpoint(endpoint)
    live = local.live()
    return (live.version, live.fingerprint, str(local.model(live.version))) if live else None
