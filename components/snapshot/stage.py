"""Entry of the snapshot stage."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

from seqline.artifacts.opponent import Opponent
from seqline.artifacts.record import Record, Schema
from seqline.atomic import atomic_directory
from seqline.components.snapshot.added import with_plugins
from seqline.components.tokenize.options import Options as CorpusOptions
from seqline.components.train.options import Options
from seqline.endpoints.kserve.live import live_model
from seqline.endpoints.names import KSERVE, check_reachable
from seqline.errors import UserError
from seqline.inputs.fingerprint import describe_all, fingerprint_of, folder_fingerprint
from seqline.inputs.one_file import InputFile
from seqline.plugins.registry import check_installed
from seqline.schema.options import BaseOptions
from seqline.schema.run import RunParameters
from seqline.schema.sections import SECTIONS, resolve

# Sections that their stages take as given, and those of monitoring, which collect completes.
UNCHANGED = ("gate", "notification", "monitoring", "retraining")


@dataclass(frozen=True)
class Snapshot(Record):
    """The content of snapshot.json.

    Attributes:
        data: The parameter, as given.
        valid_data: The parameter, as given.
        test_data: The parameter, as given.
        fingerprint: 64 hexadecimal digits.
        files: The input files.
        feedback: The parameter, as given.
    """

    SCHEMA: ClassVar[Schema] = Schema(version=1, remedy="run the snapshot stage again")

    data: str
    valid_data: str
    test_data: str
    fingerprint: str
    files: list[InputFile]
    feedback: str = ""


def check_and_snapshot(output: Path, parameters: Mapping[str, Any], containers: bool = False) -> tuple[Any, ...]:
    """Checks the parameters of a whole run, then writes the snapshot.

    Args:
        output: The artifact folder to write.
        parameters: Parameters of the run and sections of options by name; other names are ignored.
        containers: Whether each stage runs in a container of its own, so that a local endpoint would end with deploy.

    Returns:
        The fingerprint, that of the checkpoint to start from (empty for none), the model's address, the fingerprint of
        a model to release (empty for none), the baseline, then each section's complete options, in the order of
        `SECTIONS`. The gate's rules and the notifications are not returned: bless and summarize take them as given,
        summarize because it also runs where this task failed.

    Raises:
        UserError: If a later stage would refuse a value, with a line for each; or as `snapshot` does.
    """
    check_installed()
    if containers:
        check_reachable(parameters.get("endpoint", ""))
    run = {name: parameters[name] for name in RunParameters.model_fields if name in parameters}
    resolved = resolve(run, {name: parameters[name] for name in SECTIONS if name in parameters})
    warm_start = parameters.get("warm_start", "")
    tokenizer = parameters.get("tokenizer", "")
    training = cast("Options", resolved.get("training", Options()))
    if training.pretrained or tokenizer:
        # Imported here: what reads checkpoints takes as long to import as all the rest of this stage.
        from seqline.components.snapshot.pretrained import pinned, pinned_tokenizer

        if "training" in resolved:
            resolved["training"] = training = pinned(training, warm_start)
        if "corpus" in resolved:
            corpus = pinned_tokenizer(cast("CorpusOptions", resolved["corpus"]), tokenizer, training)
            resolved["corpus"], tokenizer = corpus, corpus.tokenizer
    resolved = with_plugins(resolved)
    fingerprint = snapshot(
        parameters["data"],
        output,
        parameters.get("valid_data", ""),
        parameters.get("test_data", ""),
        tokenizer,
        parameters.get("previous_corpus", ""),
        parameters.get("feedback", ""),
    )
    started_from = folder_fingerprint(warm_start, "warm_start") if warm_start else ""
    sections = (options.model_dump(mode="json") for name, options in resolved.items() if name not in UNCHANGED)
    model = parameters.get("model", "")
    # KFP's importer knows addresses of stores only: `ParseBucketPathToConfig` of backend/src/v2/objectstore/config.go.
    # A laptop's takes any, and infer finds the model.
    address = live_model(model) if containers and model.startswith(KSERVE) else model
    released = _released(model) if parameters.get("release") else ""
    return fingerprint, started_from, address, released, _baseline(resolved.get("training")), *sections


def _released(model: str) -> str:
    """The fingerprint of a model to release."""
    if not model:
        raise UserError("model is empty: name the SavedModel to release, a folder here or in a bucket")
    return folder_fingerprint(model, "model")


def _baseline(training: BaseOptions | None) -> dict[str, str]:
    """The checkpoint that training starts from, as evaluate and baseline take it."""
    if isinstance(training, Options) and training.pretrained:
        return Opponent(fingerprint=training.pretrained_fingerprint, address=training.pretrained).to_parameter()
    return Opponent(standing="none").to_parameter()


def snapshot(
    data: str,
    output: Path,
    valid_data: str = "",
    test_data: str = "",
    tokenizer: str = "",
    previous_corpus: str = "",
    feedback: str = "",
) -> str:
    """Lists the input files and fingerprints their content.

    Writes into the output folder:

        snapshot.json   {"schema_version", "data", "valid_data", "test_data", "feedback", "fingerprint",
                         "files": [{"path", "size", "checksum", "generation", "parameter"}]}

    The fingerprint depends only on each file's base name, size, checksum and parameter: the same files in another
    folder, in another order, listed by a pattern or one by one, or touched without a change have the same fingerprint.
    The base name counts because its suffix decides how the file is read. Checksums are SHA-256 for local files and
    those that Cloud Storage stores (MD5, else CRC32C) for gs:// objects, which are not downloaded; moving data between
    the two therefore changes the fingerprint once.

    Args:
        data: Input files: a path, a pattern such as folder/*.tsv.gz, or several separated by commas; local
            or gs://.
        output: The artifact folder to write.
        valid_data: Validation files in the same form; empty for none.
        test_data: Test files in the same form; empty for none.
        tokenizer: The SentencePiece model that the corpus will use; empty for none.
        previous_corpus: The corpus folder that drift will be measured against; empty for none.
        feedback: Files of corrections in the same form; empty for none.

    Returns:
        The fingerprint, 64 hexadecimal digits.

    Raises:
        UserError: `data` is empty, or a parameter names a missing, empty or unreadable file or a folder, or a query
            that BigQuery refuses.
    """
    files = describe_all(data, valid_data, test_data, tokenizer, previous_corpus, feedback)
    fingerprint = fingerprint_of(files)
    with atomic_directory(output, "snapshot.json") as folder:
        Snapshot(data, valid_data, test_data, fingerprint, files, feedback).write(folder / "snapshot.json")
    size = sum(file.size for file in files)
    logging.getLogger(__name__).info("%d file(s), %d bytes, fingerprint %s", len(files), size, fingerprint)
    return fingerprint
