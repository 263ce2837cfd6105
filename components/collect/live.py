"""The live version of an endpoint, what its traffic is compared with, and where its requests are sampled to."""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqline.artifacts.exported_model import EXTRA
from seqline.artifacts.reference import REFERENCE, Reference
from seqline.endpoints.opening import open_back_end
from seqline.endpoints.vertex import VertexBackEnd
from seqline.errors import UserError
from seqline.inputs.storage import download, list_files, open_folder
from seqline.sampling.features import Tokens


@dataclass(frozen=True)
class Live:
    """A live version.

    Attributes:
        version: Its number.
        fingerprint: Its fingerprint, as it is registered.
        created: When it was registered.
        model: The address of its files.
        reference: What its traffic is compared with; None if its model has nothing.
        problem: Why it has nothing; empty otherwise.
        samples: Where its requests are sampled to: a folder, or a table of BigQuery; empty for nowhere.
        deployed: On Vertex AI, versions by the ids of their deployed models.
    """

    version: str
    fingerprint: str
    created: str
    model: str
    reference: Reference | None
    problem: str = ""
    samples: str = ""
    deployed: Mapping[str, str] = field(default_factory=dict)

    def tokens(self) -> Tokens | None:
        """Reads the tokenizer beside the model; None if there is none."""
        with tempfile.TemporaryDirectory(prefix="tokenizer.") as folder:
            try:
                files, root = open_folder(self.model)
                inside = f"{root}/{EXTRA}/tokenizer."
                found = {path: one for path, one in list_files(files, root).items() if path.startswith(inside)}
                download(files, root, found, Path(folder))
            except UserError:
                raise
            except Exception as error:  # every file system has its own errors
                raise UserError(f"{self.model} cannot be read: {error or type(error).__name__}") from error
            return Tokens.of_model(Path(folder))


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
        raise UserError("endpoint is empty: set the endpoint to monitor")
    try:
        back_end = open_back_end(endpoint, api_endpoint=api_endpoint)
        number = back_end.state().champion
        found = next((known for known in back_end.versions() if known.version == number), None)
        samples, deployed = _sampled(back_end)
    except GoogleAPIError as error:
        raise UserError(f"the endpoint {endpoint} does not respond: {error}") from error
    if number is None or found is None:
        raise UserError(f"no version is live at the endpoint {endpoint}; deploy one first")
    reference, problem = None, ""
    try:
        reference = read_reference(found.model)
    except UserError as error:
        problem = f"version {number} is compared with the previous window only: {error}"
    if reference is None and not problem:
        problem = (
            f"version {number} has no {REFERENCE}: its model was exported by an earlier Seqline, so its traffic is "
            "compared with the previous window only; retrain it, or export it again"
        )
    return Live(
        str(number), found.fingerprint, found.created, found.model, reference, problem, samples, deployed
    )  # fmt: skip


def _sampled(back_end: Any) -> tuple[str, dict[str, str]]:
    """Where requests are sampled to, and on Vertex AI the versions by their deployed models."""
    if not isinstance(back_end, VertexBackEnd):
        return back_end.samples(), {}
    found = back_end.resource.find()
    deployed = {id_: str(version) for version, id_ in back_end.resource.deployed(found).items()}
    logging = found.predict_request_response_logging_config if found is not None else None
    return (logging.bigquery_destination.output_uri if logging and logging.enabled else ""), deployed


def read_reference(model: str) -> Reference | None:
    """Reads the reference of a model.

    Args:
        model: The model's folder, or its address in a bucket.

    Returns:
        The reference; None if the model has none.

    Raises:
        UserError: If it cannot be read, or belongs to another tokenizer than the model's.
    """
    address = f"{model.rstrip('/')}/{REFERENCE}"
    try:
        files, root = open_folder(model)
        path = f"{root}/{REFERENCE}"
        found = list_files(files, root)
        if path not in found:
            return None
        text = bytes(files.cat_file(path)).decode("utf-8")
        beside = [bytes(files.cat_file(one)) for one in found if one.startswith(f"{root}/{EXTRA}/tokenizer.")]
    except Exception as error:  # every file system has its own errors
        raise UserError(f"{address} cannot be read: {error or type(error).__name__}") from error
    reference = Reference.from_json(text, address)
    if beside and reference.tokenizer not in [hashlib.sha256(content).hexdigest() for content in beside]:
        raise UserError(f"{address} belongs to another tokenizer than the model's; export the model again")
    return reference
