"""Entry of the snapshot stage."""

import hashlib
import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seqline.atomic import whole_folder, write_whole
from seqline.components.snapshot.parameters import check_parameters
from seqline.inputs.files import InputFile, describe, find_inputs

SCHEMA_VERSION = 1


def snapshot(
    data: str,
    output: Path,
    valid_data: str = "",
    test_data: str = "",
    parameters: dict[str, Any] | None = None,
) -> str:
    """Lists the input files and fingerprints their content.

    Writes into the output folder:

        snapshot.json   {"schema_version", "data" and so on as given, "fingerprint",
                         "files": [{"path", "size", "checksum", "generation", "parameter"}]}

    The fingerprint depends on each file's base name, size, checksum and parameter, and on nothing else: the same files
    in another folder, in another order, listed by a pattern or one by one, or touched without a change give
    the same one. A base name counts because its suffix says how the file is read. Checksums are SHA-256 for
    local files and what Cloud Storage keeps (MD5, else CRC32C) for gs:// objects, which are not downloaded;
    so moving data between the two changes the fingerprint once.

    Args:
        data: Input files: a path, a pattern such as folder/*.tsv.gz, or several separated by commas; local
            or gs://.
        output: The artifact folder to write.
        valid_data: Validation files in the same form, where there are some.
        test_data: Test files, likewise.
        parameters: Values of all parameters of the run by name, checked before anything is read.

    Returns:
        The fingerprint, 64 hexadecimal digits.

    Raises:
        UserError: A later stage would refuse a parameter, `data` is empty, or a parameter names a missing, empty or
            unreadable file or a folder, or a query that BigQuery refuses.
    """
    check_parameters(parameters or {})
    files = describe_all(data, valid_data, test_data)
    if tokenizer := (parameters or {}).get("tokenizer"):
        # A corpus made with another model behind the same path is another corpus.
        files.append(describe(tokenizer, "tokenizer"))
    fingerprint = fingerprint_of(files)
    record = {
        "schema_version": SCHEMA_VERSION,
        "data": data,
        "valid_data": valid_data,
        "test_data": test_data,
        "fingerprint": fingerprint,
        "files": [asdict(file) for file in files],
    }
    with whole_folder(output) as folder:
        write_whole(folder / "snapshot.json", json.dumps(record, indent=2) + "\n")
    size = sum(file.size for file in files)
    logging.getLogger(__name__).info("%d file(s), %d bytes, fingerprint %s", len(files), size, fingerprint)
    return fingerprint


def describe_all(data: str, valid_data: str = "", test_data: str = "") -> list[InputFile]:
    """Describes the input files; arguments and errors are those of `snapshot`."""
    return [describe(path, parameter) for parameter, path in find_inputs(data, valid_data, test_data)]


def _name(file: InputFile) -> str:
    return "" if file.checksum.startswith("bigquery:") else file.path.rpartition("/")[2]


def fingerprint_of(files: list[InputFile]) -> str:
    """SHA-256 over parameters, base names, sizes and checksums in an order of their own."""
    content = sorted((file.parameter, _name(file), file.size, file.checksum) for file in files)
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
