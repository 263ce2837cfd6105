"""The fingerprint of input files."""

import hashlib
import json

from seqline.errors import UserError
from seqline.inputs.bigquery import is_query
from seqline.inputs.files import InputFile, describe, find_inputs


def describe_all(data: str, valid_data: str = "", test_data: str = "") -> list[InputFile]:
    """Describes all input files; arguments and errors are those of `find_inputs` and `describe`."""
    return [describe(path, parameter) for parameter, path in find_inputs(data, valid_data, test_data)]


def require_unchanged(
    fingerprint: str, data: str, valid_data: str = "", test_data: str = "", tokenizer: str = ""
) -> None:
    """Checks after reading that the input files are those of a fingerprint.

    The rows of a query are not compared: that would run it, and be charged, once more.

    Args:
        fingerprint: From `fingerprint_of`, before reading.
        data: Input files.
        valid_data: Validation files.
        test_data: Test files.
        tokenizer: The SentencePiece model, if it is part of the fingerprint.

    Raises:
        UserError: If a file was changed, added or removed meanwhile.
    """
    if any(is_query(one) for one in (data, valid_data, test_data)):
        return
    files = describe_all(data, valid_data, test_data)
    if tokenizer:
        files.append(describe(tokenizer, "tokenizer"))
    if fingerprint_of(files) != fingerprint:
        raise UserError(
            "the input files changed between the fingerprint of the data and the end of reading: what was read may be "
            "a mixture, so nothing was written; run again when nothing writes them"
        )


def fingerprint_of(files: list[InputFile]) -> str:
    """Returns the SHA-256 of the files' sorted parameters, base names, sizes and checksums."""
    content = sorted((file.parameter, _name(file), file.size, file.checksum) for file in files)
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _name(file: InputFile) -> str:
    return "" if file.checksum.startswith("bigquery:") else file.path.rpartition("/")[2]
