"""The live version of an endpoint, and what its traffic is compared with."""

from dataclasses import dataclass

from seqline.artifacts.reference import REFERENCE, Reference
from seqline.endpoints.opening import open_back_end
from seqline.errors import UserError
from seqline.inputs.storage import list_files, open_folder


@dataclass(frozen=True)
class Live:
    """A live version.

    Attributes:
        version: Its number.
        fingerprint: Its fingerprint, as it is registered.
        created: When it was registered.
        reference: What its traffic is compared with; None if its model has nothing.
        problem: Why it has nothing; empty otherwise.
    """

    version: str
    fingerprint: str
    created: str
    reference: Reference | None
    problem: str = ""


def find_live(endpoint: str, api_endpoint: str = "") -> Live:
    """Looks up the live version.

    Args:
        endpoint: The endpoint.
        api_endpoint: Host of the Vertex API; empty for the region's own.

    Raises:
        UserError: If there is no endpoint, no live version, or no answer.
    """
    from google.api_core.exceptions import GoogleAPIError

    if not endpoint:
        raise UserError("endpoint is empty: name the endpoint whose traffic is monitored")
    try:
        back_end = open_back_end(endpoint, api_endpoint=api_endpoint)
        number = back_end.state().champion
        found = next((known for known in back_end.versions() if known.version == number), None)
    except GoogleAPIError as error:
        raise UserError(f"the endpoint {endpoint} does not answer: {error}") from error
    if number is None or found is None:
        raise UserError(f"no version is live at the endpoint {endpoint}; deploy one, then monitor its traffic")
    try:
        reference = read_reference(found.model)
        problem = "" if reference else (
            f"version {number} has no {REFERENCE}: its model was exported by an earlier Seqline, so its traffic is "
            "compared with the previous window only; retrain it, or export it again"
        )  # fmt: skip
    except UserError as error:
        reference, problem = None, f"version {number} is compared with the previous window only: {error}"
    return Live(str(number), found.fingerprint, found.created, reference, problem)


def read_reference(model: str) -> Reference | None:
    """Reads the reference of a model.

    Args:
        model: The model's folder, or its address in a bucket.

    Returns:
        The reference; None if the model has none.

    Raises:
        UserError: If it cannot be read.
    """
    address = f"{model.rstrip('/')}/{REFERENCE}"
    try:
        files, root = open_folder(model)
        path = f"{root}/{REFERENCE}"
        if path not in list_files(files, root):
            return None
        text = bytes(files.cat_file(path)).decode("utf-8")
    except Exception as error:  # every file system has its own errors
        raise UserError(f"{address} cannot be read: {error or type(error).__name__}") from error
    return Reference.from_json(text, address)
