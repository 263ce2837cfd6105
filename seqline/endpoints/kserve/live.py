"""The model that is live at an endpoint on KServe."""

from seqline.endpoints.kserve.back_end import KServeBackEnd
from seqline.errors import UserError


def live_model(endpoint: str) -> str:
    """Returns the address of the live version's model.

    Args:
        endpoint: kserve://NAMESPACE/NAME.

    Raises:
        UserError: If no version is live, or the cluster does not respond.
    """
    back_end = KServeBackEnd(endpoint)
    live = back_end.state().champion
    found = next((known for known in back_end.versions() if known.version == live), None)
    if found is None:
        raise UserError(f"no version is live at the endpoint {endpoint}; deploy one, or name a model's folder")
    return found.model
