"""The model that is live at an endpoint on Vertex or KServe."""

from seqline.endpoints.opening import open_back_end
from seqline.errors import UserError


def live_model(endpoint: str) -> str:
    """Returns the address of the live version's model.

    Args:
        endpoint: projects/P/locations/L/endpoints/NAME, or kserve://NAMESPACE/NAME.

    Raises:
        UserError: If no version is live, or the service does not answer.
    """
    back_end = open_back_end(endpoint)
    live = back_end.state().champion
    found = next((known for known in back_end.versions() if known.version == live), None)
    if found is None:
        raise UserError(f"no version is live at the endpoint {endpoint}; deploy one, or name a model's folder")
    return found.model
