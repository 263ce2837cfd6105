"""Entry of the snapshot stage."""

import hashlib
import json
import logging
from dataclasses import asdict
from pathlib import Path

from components.snapshot.files import InputFile, describe, find_files
from components.whole import whole_folder, write_whole

SCHEMA_VERSION = 1


def snapshot(data: str, output: Path) -> str:
    """Lists the input files and fingerprints their content.

    Writes into the output folder:

        snapshot.json   {"schema_version", "data" as given, "fingerprint",
                         "files": [{"path", "size", "checksum", "generation"}]}

    The fingerprint depends on each file's base name, size and checksum, and on nothing else: the same files
    in another folder, in another order, listed by a pattern or one by one, or touched without a change give
    the same one. A base name counts because its suffix says how the file is read. Checksums are SHA-256 for
    local files and what Cloud Storage keeps (MD5, else CRC32C) for gs:// objects, which are not downloaded;
    so moving data between the two changes the fingerprint once.

    Args:
        data: Input files: a path, a pattern such as folder/*.tsv.gz, or several separated by commas; local
            or gs://.
        output: The artifact folder to write.

    Returns:
        The fingerprint, 64 hexadecimal digits.

    Raises:
        UserError: `data` is empty, or names a missing, empty or unreadable file or a folder.
    """
    files = [describe(path) for path in find_files(data, parameter="data")]
    fingerprint = fingerprint_of(files)
    record = {
        "schema_version": SCHEMA_VERSION,
        "data": data,
        "fingerprint": fingerprint,
        "files": [asdict(file) for file in files],
    }
    with whole_folder(output) as folder:
        write_whole(folder / "snapshot.json", json.dumps(record, indent=2) + "\n")
    size = sum(file.size for file in files)
    logging.getLogger(__name__).info("%d file(s), %d bytes, fingerprint %s", len(files), size, fingerprint)
    return fingerprint


def fingerprint_of(files: list[InputFile]) -> str:
    """SHA-256 over base names, sizes and checksums in an order of their own."""
    content = sorted((file.path.rpartition("/")[2], file.size, file.checksum) for file in files)
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
