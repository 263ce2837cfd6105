"""The endpoints of a namespace."""

from seqline.endpoints.kserve.cluster import Cluster
from seqline.endpoints.kserve.record import names
from seqline.endpoints.names import KSERVE, parts_of_kserve


def list_endpoints(on: str) -> list[str]:
    """Lists the endpoints that Seqline has deployed to in a namespace.

    Args:
        on: kserve://NAMESPACE.

    Returns:
        Their names, as kserve://NAMESPACE/NAME.

    Raises:
        UserError: If it is not a namespace, or the cluster does not respond.
    """
    namespace, _ = parts_of_kserve(f"{on.rstrip('/')}/a")
    return [f"{KSERVE}{namespace}/{name}" for name in names(Cluster(namespace))]
