"""Opens the back end of an endpoint by its name."""

from seqline.endpoints.back_end import BackEnd
from seqline.endpoints.local import LocalBackEnd
from seqline.endpoints.local_endpoint import local_endpoint
from seqline.endpoints.names import ENDPOINT
from seqline.endpoints.vertex import VertexBackEnd
from seqline.endpoints.vertex_hosting import Hosting
from seqline.errors import UserError


def check_endpoint(endpoint: str) -> None:
    """Checks an endpoint's name, before anything is trained for it.

    Args:
        endpoint: A local endpoint's folder, or projects/P/locations/L/endpoints/NAME.

    Raises:
        UserError: If it is neither.
    """
    if not endpoint.startswith("projects/"):
        local_endpoint(endpoint)
    elif not ENDPOINT.fullmatch(endpoint):
        raise UserError(
            f"{endpoint!r} is not projects/P/locations/L/endpoints/NAME, with a NAME that is a lower-case letter, then "
            "lower-case letters, digits and hyphens; or the number of an existing endpoint"
        )


def open_back_end(
    endpoint: str,
    port: int = 0,
    hosting: Hosting = Hosting(),  # noqa: B008 (frozen)
    api_endpoint: str = "",
) -> BackEnd:
    """Opens the back end that serves an endpoint.

    Args:
        endpoint: A local endpoint's folder, or projects/P/locations/L/endpoints/NAME.
        port: Port of a local endpoint's server that does not run yet; 0 for its previous one.
        hosting: How Vertex hosts the versions.
        api_endpoint: Host of the Vertex API; empty for the region's own.

    Raises:
        UserError: If it is no endpoint's name.
    """
    if endpoint.startswith("projects/"):
        return VertexBackEnd(endpoint, hosting, api_endpoint)
    return LocalBackEnd(local_endpoint(endpoint), port)
