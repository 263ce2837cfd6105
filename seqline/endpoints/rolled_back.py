"""Models that were rolled back: a run that gets the same model again, from the cache perhaps, does not deploy it."""

from seqline.endpoints.back_end import State
from seqline.endpoints.names import is_remote


def rolled_back(state: State, fingerprint: str, endpoint: str) -> str:
    """Says why a model must not be deployed: it was live, and was rolled back.

    Args:
        state: The endpoint's state.
        fingerprint: The model's fingerprint.
        endpoint: The endpoint's folder or name, for the message.

    Returns:
        The reason and what to do, as sentences without the last full stop; empty if the model was not rolled back.
    """
    date = state.when_rolled_back(fingerprint)
    if not date:
        return ""
    name = endpoint if is_remote(endpoint) else endpoint.rstrip("/").rpartition("/")[2]
    return (
        f"the model {fingerprint[:12]} was rolled back on {date} and is not deployed again; to deploy it anyway, run "
        f"`seqline endpoint allow {fingerprint[:12]} --endpoint {name}` and then the pipeline again"
    )
