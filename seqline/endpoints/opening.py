"""Opens the back end of an endpoint by its name."""

from seqline.endpoints.back_end import BackEnd
from seqline.endpoints.kserve.back_end import KServeBackEnd
from seqline.endpoints.kserve.hosting import Hosting as KServeHosting
from seqline.endpoints.local import LocalBackEnd
from seqline.endpoints.local_endpoint import local_endpoint
from seqline.endpoints.names import ENDPOINT, KSERVE, parts_of_kserve
from seqline.endpoints.sampling import Sampling
from seqline.endpoints.vertex import VertexBackEnd
from seqline.endpoints.vertex_hosting import Hosting
from seqline.errors import UserError


def check_endpoint(endpoint: str) -> None:
    """Checks an endpoint's name, before anything is trained for it.

    Args:
        endpoint: A local endpoint's folder, projects/P/locations/L/endpoints/NAME, or kserve://NAMESPACE/NAME.

    Raises:
        UserError: If it is none of these.
    """
    if endpoint.startswith(KSERVE):
        parts_of_kserve(endpoint)
    elif not endpoint.startswith("projects/"):
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
    on_kserve: KServeHosting | None = None,
    sampling: Sampling | None = None,
) -> BackEnd:
    """Opens the back end that serves an endpoint.

    Args:
        endpoint: A local endpoint's folder, projects/P/locations/L/endpoints/NAME, or kserve://NAMESPACE/NAME.
        port: Port of a local endpoint's server that does not run yet; 0 for its previous one.
        hosting: How Vertex hosts the versions.
        api_endpoint: Host of the Vertex API; empty for the region's own.
        on_kserve: How KServe hosts the versions; None for the predictors that they were registered with.
        sampling: What a local endpoint's server samples; None for what it samples already.

    Raises:
        UserError: If it is not an endpoint's name.
    """
    if endpoint.startswith("projects/"):
        return VertexBackEnd(endpoint, hosting, api_endpoint)
    if endpoint.startswith(KSERVE):
        return KServeBackEnd(endpoint, on_kserve)
    return LocalBackEnd(local_endpoint(endpoint), port, sampling=sampling)
