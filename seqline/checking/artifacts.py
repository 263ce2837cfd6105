"""The test kit of the artifacts: what is wrong with a model, a checkpoint or a corpus that another program wrote.

docs/extending.md has the contracts.
"""

import json
import os
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from seqline.artifacts.checkpoint import Checkpoint, CheckpointConfig
from seqline.artifacts.corpus import ID_TYPES, Corpus, Manifest, Shard
from seqline.artifacts.exported_model import ExportedModel
from seqline.errors import UserError
from seqline.languages import find_language
from seqline.plugins.contracts import TASKS

Read = TypeVar("Read")
NEEDS_TENSORFLOW = {"model": "saved_model.pb", "checkpoint": "model.weights.h5"}
"""A file of each kind that TensorFlow is imported to check."""


def check_artifact(kind: str, folder: Path) -> list[str]:
    """Checks an artifact against its contract, as the stages that read it would.

    Args:
        kind: model, checkpoint or corpus.
        folder: The artifact's folder.

    Returns:
        What is wrong, a line each.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if not folder.is_dir():
        return [f"{folder} is not a folder"]
    if (folder / NEEDS_TENSORFLOW.get(kind, "none")).exists():
        with _without_notices():
            import tensorflow  # noqa: F401
    return list(dict.fromkeys(KINDS[kind](folder)))


@contextmanager
def _without_notices() -> Iterator[None]:
    """Discards standard error: TensorFlow 2.21 writes notices there on import, whatever its log level."""
    before, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(null)


def _model(folder: Path) -> Iterator[str]:
    from seqline.components.adopt.stage import adopt

    model = ExportedModel(folder)
    if model.description_file.is_file():
        described = yield from _read(model.read_description)
        if described is not None:
            if not described.fingerprint:
                yield f"{model.description_file}: fingerprint is empty: write one that changes with the model"
            languages = {"source_language": described.source_language, "target_language": described.target_language}
            yield from _languages(languages, model.description_file)
    with tempfile.TemporaryDirectory(prefix="seqline-check-") as temporary:
        yield from _refused(lambda: adopt(str(folder), Path(temporary) / "model"))


def _checkpoint(folder: Path) -> Iterator[str]:
    from seqline.modeling.config import TransformerConfig

    checkpoint = Checkpoint(folder)
    missing = [file for file in (checkpoint.weights, checkpoint.history) if not file.is_file()]
    yield from (f"{file} is missing" for file in missing)
    read = yield from _read(lambda: CheckpointConfig.read(checkpoint.config))
    size = yield from _tokenizer(checkpoint.tokenizer)
    if not missing:
        yield from _history(checkpoint.history)
    if read is None:
        return
    languages = {"source_language": read.source_language, "target_language": read.target_language}
    yield from _languages(languages, checkpoint.config)
    config = None
    try:
        config = TransformerConfig.from_dict(read.model)
    except UserError as error:
        yield from (f"{checkpoint.config}: model.{line}" for line in str(error).splitlines())
    if config is None:
        return
    if size is not None and size > config.vocabulary_size:
        yield (
            f"{checkpoint.config}: model.vocabulary_size is {config.vocabulary_size}, but {checkpoint.tokenizer.name} "
            f"has {size} tokens"
        )
    if checkpoint.weights.is_file():
        from seqline.modeling.architectures import make_model

        try:
            make_model(config).load_weights(checkpoint.weights)
        except (ValueError, OSError, KeyError) as error:
            reason = str(error).strip().partition("\n")[0]
            yield f"{checkpoint.weights} does not match the model in {checkpoint.config.name}: {reason}"


def _history(file: Path) -> Iterator[str]:
    try:
        epochs = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        yield f"{file} is not JSON: {error}"
        return
    if not isinstance(epochs, list) or not epochs or not all(isinstance(one, dict) for one in epochs):
        yield f"{file} must be a list with an object for each epoch"
        return
    for number, epoch in enumerate(epochs, start=1):
        for name in ("loss", "valid_loss"):
            if not isinstance(epoch.get(name), int | float):
                yield f"{file}: epoch {number} has no number {name}"


def _corpus(folder: Path) -> Iterator[str]:
    corpus = Corpus(folder)
    manifest = yield from _read(corpus.read_manifest)
    size = yield from _tokenizer(corpus.tokenizer)
    if manifest is None:
        return
    yield from _manifest(manifest, corpus.manifest)
    if manifest.id_type not in ID_TYPES:
        yield f"{corpus.manifest}: id_type must be one of {', '.join(ID_TYPES)}, not {manifest.id_type!r}"
        return
    if size is not None and size != manifest.vocabulary_size:
        yield (
            f"{corpus.manifest}: vocabulary_size is {manifest.vocabulary_size}, but {corpus.tokenizer.name} has {size} "
            "tokens"
        )
    if not corpus.vocabulary.is_file():
        yield f"{corpus.vocabulary} is missing"
    for split in ("valid", "test"):
        yield from _texts(corpus, split, getattr(manifest.counts, split))
    records = dict.fromkeys(("train", "valid"), 0)
    for shard in manifest.shards:
        split = shard.file.partition("-")[0]
        if split not in records:
            yield f"{corpus.manifest}: the name of {shard.file} must begin with train- or valid-"
            continue
        records[split] += shard.records
        yield from _shard(folder, shard, manifest)
    counts = manifest.counts
    expected = {"train": counts.train + sum(counts.augmented.values()), "valid": counts.valid}
    for split, count in records.items():
        if count != expected[split]:
            yield f"{corpus.manifest}: the {split} shards have {count} records, but counts says {expected[split]}"


def _manifest(manifest: Manifest, file: Path) -> Iterator[str]:
    counts = manifest.counts
    if not manifest.fingerprint:
        yield f"{file}: fingerprint is empty: write one that changes with the data"
    if counts.kept != counts.train + counts.valid + counts.test:
        yield f"{file}: counts.kept is {counts.kept}, not train + valid + test"
    if counts.read != counts.kept + sum(counts.rejected.values()):
        yield f"{file}: counts.read is {counts.read}, not kept + the sum of rejected"
    longest = manifest.options.get("max_tokens")
    if not isinstance(longest, int) or longest < 1:
        yield f"{file}: options.max_tokens must be a whole number of at least 1, not {longest!r}"
    if manifest.options.get("task") not in TASKS:
        yield f"{file}: options.task must be one of {', '.join(TASKS)}, not {manifest.options.get('task')!r}"
    languages = {"source_language": manifest.source_language, "target_language": manifest.target_language}
    yield from _languages(languages, file)


def _texts(corpus: Corpus, split: Any, count: int) -> Iterator[str]:
    file, found = corpus.text(split), 0
    if not file.is_file():
        yield f"{file} is missing"
        return
    for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        found = number
        try:
            row = json.loads(line)
            wrong = [name for name in ("source", "target") if not isinstance(row.get(name), str)]
        except (ValueError, AttributeError):
            yield f"{file}, line {number} is not a JSON object"
            continue
        if wrong:
            yield f"{file}, line {number} has no text {' and no text '.join(wrong)}"
    if found != count:
        yield f"{file} has {found} lines, but counts.{split} is {count}"


def _shard(folder: Path, shard: Shard, manifest: Manifest) -> Iterator[str]:
    from seqline.components.train.corpus_files import verify_shard
    from seqline.components.train.pairs import Stored, StoredPairs

    try:
        verify_shard(folder, shard, manifest.id_type)
        pairs = StoredPairs([Stored.of(folder, shard, manifest.id_type)])
    except UserError as error:
        yield str(error).partition("; tokenize again")[0]
        return
    file, largest, tokens = folder / shard.file, 0, [0, 0]
    for number in range(pairs.windows):
        window = pairs.window(number)
        tokens = [sum(both) for both in zip(tokens, window.lengths.sum(axis=0).tolist(), strict=True)]
        largest = max(largest, int(window.read().ids.max(initial=0)))
    for name, found in zip(("source", "target"), tokens, strict=True):
        if found != getattr(shard, f"{name}_tokens"):
            yield f"{file} has {found} {name} tokens, not {getattr(shard, f'{name}_tokens')} as the manifest says"
    if largest >= manifest.vocabulary_size:
        yield f"{file} has the token {largest}, which is not in a vocabulary of {manifest.vocabulary_size}"


def _tokenizer(file: Path) -> Generator[str, None, int | None]:
    """Yields what is wrong with a tokenizer; returns its number of tokens, or None."""
    from seqline.tokenizers.host import read_tokenizer

    if not file.is_file():
        yield f"{file} is missing"
        return None
    try:
        return int(read_tokenizer(file.read_bytes(), str(file)).vocabulary_size)
    except Exception as error:  # libraries raise errors of their own
        yield f"{file} cannot be read: {str(error).partition(chr(10))[0]}"
        return None


def _languages(codes: dict[str, str], file: Path) -> Iterator[str]:
    for name, code in codes.items():
        try:
            find_language(code)
        except UserError as error:  # noqa: PERF203
            yield f"{file}: {name}: {error}"


def _read(read: Callable[[], Read]) -> Generator[str, None, Read | None]:
    """Yields why a record cannot be read; returns it, or None."""
    try:
        return read()
    except UserError as error:
        yield from str(error).splitlines()
        return None


def _refused(run: Callable[[], object]) -> Iterator[str]:
    try:
        run()
    except UserError as error:
        yield from str(error).splitlines()


KINDS: dict[str, Callable[[Path], Iterator[str]]] = {"model": _model, "checkpoint": _checkpoint, "corpus": _corpus}
"""The checks by kind of artifact."""
