"""The fingerprint of input files."""

import hashlib
import json

from seqline.errors import UserError
from seqline.inputs.bigquery import is_query
from seqline.inputs.files import describe, describe_folder, find_inputs, is_folder
from seqline.inputs.one_file import InputFile

TOKENIZER_FILES = (".json", ".jinja", ".model", ".spm")
"""Endings of the files that a checkpoint's tokenizer is made of."""
STATISTICS = "statistics.json"
"""The file of a corpus that drift is measured against."""


def describe_all(
    data: str,
    valid_data: str = "",
    test_data: str = "",
    tokenizer: str = "",
    previous_corpus: str = "",
    feedback: str = "",
) -> list[InputFile]:
    """Describes all that a corpus is made of.

    Args:
        data: Input files, as for `find_inputs`.
        valid_data: Validation files.
        test_data: Test files.
        tokenizer: The SentencePiece model or checkpoint's folder that the corpus uses; empty for none.
        previous_corpus: The corpus folder that drift is measured against; empty for none.
        feedback: Files of corrections; empty for none.

    Raises:
        UserError: As `find_inputs` and `describe` do.
    """
    files = [describe(path, parameter) for parameter, path in find_inputs(data, valid_data, test_data, feedback)]
    if tokenizer:
        # Another model at the same path makes another corpus.
        files += _describe_tokenizer(tokenizer)
    if previous_corpus:
        files.append(describe(f"{previous_corpus.rstrip('/')}/{STATISTICS}", "previous_corpus"))
    return files


def _describe_tokenizer(tokenizer: str) -> list[InputFile]:
    """The model; of a checkpoint's folder, the files that a tokenizer may be made of, not the weights."""
    if tokenizer.startswith("hf://"):
        return []  # snapshot made it the address of a commit, whose files never change
    if not is_folder(tokenizer):
        return [describe(tokenizer, "tokenizer")]
    found = [file for name, file in describe_folder(tokenizer, "tokenizer", TOKENIZER_FILES) if "/" not in name]
    if not found:
        raise UserError(f"tokenizer: {tokenizer} has no tokenizer; give the folder of a pretrained checkpoint")
    return found


def folder_fingerprint(folder: str, parameter: str) -> str:
    """Returns the SHA-256 of the files' names below a folder, sizes and checksums.

    Args:
        folder: A folder, local or by fsspec (gs://).
        parameter: The parameter that names it.

    Raises:
        UserError: If there is no such folder, or a file in it cannot be read.
    """
    content = sorted((name, file.size, file.checksum) for name, file in describe_folder(folder, parameter))
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def require_unchanged(
    fingerprint: str,
    data: str,
    valid_data: str = "",
    test_data: str = "",
    tokenizer: str = "",
    previous_corpus: str = "",
    feedback: str = "",
) -> None:
    """Checks after reading that the input files are those of a fingerprint.

    The rows of a query are not compared: that would run it, and be charged, once more.

    Args:
        fingerprint: From `fingerprint_of`, before reading.
        data: Input files.
        valid_data: Validation files.
        test_data: Test files.
        tokenizer: The SentencePiece model, if it is part of the fingerprint.
        previous_corpus: The corpus that drift is measured against, if it is part of the fingerprint.
        feedback: Files of corrections.

    Raises:
        UserError: If a file was changed, added or removed in the meantime.
    """
    if any(is_query(one) for one in (data, valid_data, test_data, feedback)):
        return
    if fingerprint_of(describe_all(data, valid_data, test_data, tokenizer, previous_corpus, feedback)) != fingerprint:
        raise UserError(
            "the input files changed while they were read, so nothing was written; run again when no program writes to "
            "them"
        )


def fingerprint_of(files: list[InputFile]) -> str:
    """Returns the SHA-256 of the files' sorted parameters, base names, sizes and checksums."""
    content = sorted((file.parameter, _name(file), file.size, file.checksum) for file in files)
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _name(file: InputFile) -> str:
    return "" if file.checksum.startswith("bigquery:") else file.path.rpartition("/")[2]
