"""The fingerprint of input files."""

import hashlib
import json

from seqline.inputs.files import InputFile, describe, find_inputs


def describe_all(data: str, valid_data: str = "", test_data: str = "") -> list[InputFile]:
    """Describes all input files; arguments and errors are those of `find_inputs` and `describe`."""
    return [describe(path, parameter) for parameter, path in find_inputs(data, valid_data, test_data)]


def fingerprint_of(files: list[InputFile]) -> str:
    """Returns the SHA-256 of the files' sorted parameters, base names, sizes and checksums."""
    content = sorted((file.parameter, _name(file), file.size, file.checksum) for file in files)
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _name(file: InputFile) -> str:
    return "" if file.checksum.startswith("bigquery:") else file.path.rpartition("/")[2]
