"""Entry of the tokenize stage."""

import hashlib
import json
import logging
import shlex
from dataclasses import asdict
from pathlib import Path

from components.errors import UserError
from components.snapshot.files import find_inputs
from components.snapshot.stage import describe_all, fingerprint_of
from components.tokenize.corpus import SCHEMA_VERSION, Counts, Manifest
from components.tokenize.judgement import judge
from components.tokenize.options import Options
from components.tokenize.report import render_report
from components.tokenize.tally import Tally
from components.whole import whole_folder, write_whole

log = logging.getLogger(__name__)


def tokenize(
    data: str,
    corpus: Path,
    report: Path,
    fingerprint: str = "",
    valid_data: str = "",
    test_data: str = "",
    beam_options: str = "",
    options: Options = Options(),  # noqa: B008 (frozen)
) -> Manifest:
    """Makes a corpus of piece ids from raw text pairs.

    corpus/
      manifest.json                     counts (read = kept + rejected by reason), shards, options, fingerprint
      tokenizer.model, tokenizer.vocab  SentencePiece: unigram with byte fallback, digits apart, one vocabulary
      train-00000-of-00004.tfrecord     tf.train.Example with the int64 lists "source" and "target"
      valid-00000-of-00001.tfrecord     the same for validation
      valid.jsonl, test.jsonl           cleaned text: {"source": ..., "target": ...} one a line

    Text is normalized (NFC, spaces, control characters) and exact duplicates leave. A hash of the source says which
    split a pair goes to: no source is in two splits, and adding data moves no pair. Files given for validation or
    test are kept, and their sources leave the training data. The same data and options give the same bytes, in
    whatever files and order the rows come and however many workers there are.

    Args:
        data: Input files (.tsv, .jsonl, plain or .gz), local or gs://: a path, a pattern, or several with commas.
        corpus: The corpus folder to write.
        report: The HTML page to write.
        fingerprint: The data's fingerprint from the snapshot stage; computed here when empty.
        valid_data: Validation files, in the same form; empty to split by hash.
        test_data: Test files, likewise.
        beam_options: Flags for Apache Beam, such as --runner=...; one process on this machine by default.
        options: Options of the stage.

    Returns:
        What manifest.json says.

    Raises:
        UserError: Files are missing or broken, too many rows are malformed, or too few pairs are left.
    """
    files = find_inputs(data, valid_data, test_data)
    fingerprint = fingerprint or fingerprint_of(describe_all(data, valid_data, test_data))
    with whole_folder(corpus) as folder:
        tally = _run(files, folder, beam_options, options)
        for reason, count in sorted(tally.rejected.items()):
            log.info("rejected %d rows: %s", count, reason)
        if tally.problems:
            raise UserError("; ".join(tally.problems))
        judge(tally, options, tally.kept)
        manifest = _manifest(tally, fingerprint, options, (folder / "tokenizer.vocab"))
        write_whole(folder / "manifest.json", manifest.to_json())
    write_whole(report, render_report(manifest, tally))
    return manifest


def _run(files: list[tuple[str, str]], folder: Path, beam_options: str, options: Options) -> Tally:
    # Beam takes seconds to import: not before the input is known to exist.
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from components.tokenize.graph import TALLY, build
    from components.tokenize.rows import check_suffix

    for _, path in files:
        check_suffix(path)
    log.info("reading %d file(s)", len(files))
    logging.getLogger("apache_beam").setLevel(logging.WARNING)
    # Beam's DirectRunner may download another runner; this is the engine that it has itself.
    flags = ["--runner=FnApiRunner", *shlex.split(beam_options)]
    with beam.Pipeline(options=PipelineOptions(flags)) as pipeline:
        build(pipeline, files, str(folder), options)
    tally = Tally.from_json((folder / TALLY).read_text(encoding="utf-8"))
    (folder / TALLY).unlink()
    return tally


def _manifest(tally: Tally, fingerprint: str, options: Options, vocabulary: Path) -> Manifest:
    with vocabulary.open(encoding="utf-8") as pieces:
        vocabulary_size = sum(1 for _ in pieces)
    if vocabulary_size < options.vocabulary_size:
        log.info("the data fill %d pieces of the %d asked for", vocabulary_size, options.vocabulary_size)
    kept, identity = tally.kept, [SCHEMA_VERSION, fingerprint, asdict(options)]
    counts = Counts(
        read=tally.read,
        kept=kept.total(),
        rejected=dict(sorted(tally.rejected.items())),
        train=kept["train"],
        valid=kept["valid"],
        test=kept["test"],
    )
    splits = ", ".join(f"{split} {kept[split]}" for split in ("train", "valid", "test"))
    log.info("read %d rows, kept %d: %s", counts.read, counts.kept, splits)
    if counts.read != counts.kept + sum(counts.rejected.values()):
        raise RuntimeError(f"rows were lost: {counts}")
    return Manifest(
        fingerprint=hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest(),
        options=asdict(options),
        counts=counts,
        shards=tally.shards,
        vocabulary_size=vocabulary_size,
        source_language=options.source_language,
        target_language=options.target_language,
    )
