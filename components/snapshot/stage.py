"""Entry of the snapshot stage."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seqline.atomic import atomic_directory, atomic_write
from seqline.inputs.files import describe
from seqline.inputs.fingerprint import describe_all, fingerprint_of
from seqline.schema.run import RunParameters
from seqline.schema.sections import SECTIONS, resolve

SCHEMA_VERSION = 1


def check_and_snapshot(output: Path, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
    """Checks the parameters of a whole run, then takes the snapshot.

    Args:
        output: The artifact folder to write.
        parameters: Parameters of the run and sections of options by name; others are not looked at.

    Returns:
        The fingerprint, then each section's complete options, in the order of `SECTIONS`; the gate's rules are left
        out, since bless takes them as they were given.

    Raises:
        UserError: If a later stage would refuse a value, with a line for each; or as `snapshot` does.
    """
    run = {name: parameters[name] for name in RunParameters.model_fields if name in parameters}
    resolved = resolve(run, {name: parameters[name] for name in SECTIONS if name in parameters})
    fingerprint = snapshot(
        parameters["data"],
        output,
        parameters.get("valid_data", ""),
        parameters.get("test_data", ""),
        parameters.get("tokenizer", ""),
    )
    return fingerprint, *(options.model_dump(mode="json") for name, options in resolved.items() if name != "gate")


def snapshot(
    data: str,
    output: Path,
    valid_data: str = "",
    test_data: str = "",
    tokenizer: str = "",
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
        tokenizer: A SentencePiece model that the corpus will be made with; empty for none.

    Returns:
        The fingerprint, 64 hexadecimal digits.

    Raises:
        UserError: `data` is empty, or a parameter names a missing, empty or unreadable file or a folder, or a query
            that BigQuery refuses.
    """
    files = describe_all(data, valid_data, test_data)
    if tokenizer:
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
    with atomic_directory(output) as folder:
        atomic_write(folder / "snapshot.json", json.dumps(record, indent=2) + "\n")
    size = sum(file.size for file in files)
    logging.getLogger(__name__).info("%d file(s), %d bytes, fingerprint %s", len(files), size, fingerprint)
    return fingerprint
