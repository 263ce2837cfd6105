"""Entry of the tokenize stage."""

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from seqline.artifacts.corpus import Corpus, Counts, Manifest, id_type
from seqline.artifacts.reference import SOURCES, Sources
from seqline.artifacts.text_tokenizer import is_unknown
from seqline.atomic import atomic_directory, atomic_write
from seqline.components.tokenize.corpus_checks import check_counts
from seqline.components.tokenize.expectations import check_drift, evaluate, require_met
from seqline.components.tokenize.formats import Input, form_of
from seqline.components.tokenize.identified import identified
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.report import render_report
from seqline.components.tokenize.runners import check_flags, flags, shared_folder
from seqline.components.tokenize.statistics import Drift, Statistics
from seqline.components.tokenize.tally import Tally
from seqline.components.tokenize.vocabulary import check_prompt, given_tokenizer
from seqline.components.tokenize.vocabulary_size import FREQUENT, SIZES
from seqline.errors import UserError
from seqline.inputs.bigquery import copy, is_query
from seqline.inputs.files import find_inputs
from seqline.inputs.fingerprint import describe_all, fingerprint_of, require_unchanged
from seqline.inputs.storage import fsspec
from seqline.plugins.registry import RULES
from seqline.progress import counting
from seqline.quick_imports import quick_imports
from seqline.schema.auto import AUTO, number

log = logging.getLogger(__name__)

SECTION_BYTES = 32 << 20
"""Approximate size of the text that a worker holds in memory."""


def tokenize(
    data: str,
    corpus: Path,
    report: Path,
    fingerprint: str = "",
    valid_data: str = "",
    test_data: str = "",
    beam_options: str = "",
    previous_corpus: str = "",
    options: Options = Options(),  # noqa: B008 (frozen)
    feedback: str = "",
) -> Manifest:
    """Makes a corpus of token ids from raw text pairs.

    corpus/
      manifest.json                        counts (read = kept + rejected by reason), shards, options, fingerprint
      tokenizer.model, tokenizer.vocab     SentencePiece with byte fallback, one vocabulary; or tokenizer.json
      train-00000-of-00004.ids             token ids of a part of the training pairs, as an array
      train-00000-of-00004.lengths         number of ids of the source and the target of each pair
      valid-00000-of-00001.ids, .lengths   the same for validation
      valid.jsonl, test.jsonl              cleaned text: {"source": ..., "target": ...} one a line, maybe "slice"
      statistics.json                      lengths, ratios, tokens, slices
      sources.json                         the sources alone, for the monitoring of live traffic
      rejected.jsonl                       a sample of the rejected rows: {"reason", "where", "source", "target"}

    Text is normalized (NFC, spaces, control characters), rows are cleaned by the rules of components/tokenize/rules.py,
    and duplicates are removed. A hash of the source decides the split of a pair: no source is in two splits, and
    adding data moves no pair. Validation and test files are used as given, and their sources are removed from the
    training data. The same data and options give the same bytes for any number of workers.

    Args:
        data: Input files (.tsv, .csv, .jsonl, .parquet, optionally .gz, .zst or .bz2), local or in a bucket: a path, a
            pattern, or several with commas; or a BigQuery query.
        corpus: The corpus folder to write.
        report: The HTML page to write.
        fingerprint: The data's fingerprint from the snapshot stage; computed if empty.
        valid_data: Validation files in the same form; empty to split by a hash of the source.
        test_data: Test files in the same form; empty to split by a hash of the source.
        beam_options: Flags of Apache Beam, such as --runner=...; all cores of this machine by default.
        previous_corpus: Corpus folder to measure drift against, local or in a bucket; empty for none.
        options: Options of the stage.
        feedback: Files of corrections from `seqline feedback export`, in the same form, with source and target;
            training pairs only, held to the same rules. Empty for none.

    Returns:
        The manifest.

    Raises:
        UserError: Files are missing or broken, or change while they are read; too many rows are malformed, too few
            pairs remain, or an expectation is not met. In the last case the report is still written.
    """
    RULES.require("tokenize", options.plugins)
    check_flags(beam_options)
    if tokenizer := given_tokenizer(options):
        check_prompt(tokenizer, options)
    check_drift(options.expectations, previous_corpus)
    files = [Input(*file) for file in find_inputs(data, valid_data, test_data, feedback)]
    previous = Statistics.of_corpus(previous_corpus) if previous_corpus else None
    inputs = data, valid_data, test_data, options.tokenizer, previous_corpus, feedback
    fingerprint = fingerprint or fingerprint_of(describe_all(*inputs))
    with atomic_directory(corpus, Corpus(corpus).manifest.name) as folder:
        tally = _run(files, folder, beam_options, options)
        require_unchanged(fingerprint, *inputs)
        for reason, count in sorted(tally.rejected.items()):
            log.info("rejected %d rows: %s", count, reason)
        if tally.problems:
            raise UserError("; ".join(tally.problems))
        check_counts(tally, options, tally.kept)
        vocabulary = _vocabulary(folder)
        manifest = _manifest(tally, fingerprint, options, len(vocabulary), folder)
        statistics = Statistics.of(tally, vocabulary)
        drift = Drift.between(previous, statistics) if previous else None
        results = evaluate(options.expectations, manifest.counts, statistics, drift)
        atomic_write(report, render_report(manifest, statistics, tally.examples, drift, results))
        require_met(results)
        statistics.write(folder / "statistics.json")
        unknown = frozenset(token for token, text in enumerate(vocabulary) if is_unknown(text))
        sources = Sources.of(tally.source_weights, unknown, tally.lengths, tally.read - tally.corrections)
        scripts, languages = identified(folder)
        replace(sources, scripts=scripts, languages=languages).write(folder / SOURCES)
        atomic_write(folder / "rejected.jsonl", "".join(_rejected(tally)))
        manifest.write(folder / "manifest.json")
    return manifest


def _run(files: list[Input], folder: Path, beam_options: str, options: Options) -> Tally:
    # Beam takes seconds to import: missing input is reported before.
    with quick_imports():
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions

        from seqline.components.tokenize.graph import TALLY, build
        from seqline.components.tokenize.position import Position

    log.info("reading %d file(s)", len(files))
    logging.getLogger("apache_beam").setLevel(logging.WARNING)
    # Its workers log errors about a missing folder that no local worker needs.
    logging.getLogger("apache_beam.runners.portability.local_job_service").setLevel(logging.ERROR)
    with shared_folder(folder, beam_options) as (shared, work):
        files = [_copied(file, f"{work}/query-{number}.parquet") for number, file in enumerate(files)]
        size = sum(_text_size(file.stored) for file in files)
        with counting(Position()), beam.Pipeline(options=PipelineOptions(flags(beam_options, size))) as pipeline:
            build(pipeline, files, -(-size // (options.shards * SECTION_BYTES)), shared, work, options)
    try:
        tally = Tally.from_json((folder / TALLY).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"beam_options: the runner finished, and left nothing in {shared}; check whether its workers can write "
            "there"
        ) from None
    (folder / TALLY).unlink()
    return tally


def _copied(file: Input, path: str) -> Input:
    """Copies the rows of a query to a file; files are returned unchanged."""
    if not is_query(file.path):
        return file
    copy(file.path, file.parameter, path)
    return Input(file.parameter, f"the query of {file.parameter}", path)


def _text_size(path: str) -> int:
    form, compression = form_of(path)
    system, name = fsspec.core.url_to_fs(path)
    return int(system.size(name)) * (4 if compression or form == "parquet" else 1)


def _vocabulary(folder: Path) -> list[str]:
    with (folder / "tokenizer.vocab").open(encoding="utf-8") as lines:
        return [line.partition("\t")[0] for line in lines]


def _rejected(tally: Tally) -> Iterator[str]:
    for reason, rows in sorted(tally.examples.items()):
        if reason != "kept":
            for row in rows:
                # The file's name without its folder: the same data give the same bytes in any folder.
                where = row.where.rpartition("/")[2]
                record = {"reason": reason, "where": where, "source": row.source, "target": row.target}
                yield json.dumps(record, ensure_ascii=False) + "\n"


def _manifest(tally: Tally, fingerprint: str, options: Options, vocabulary_size: int, folder: Path) -> Manifest:
    wanted = options.vocabulary_size
    if wanted == AUTO and not options.tokenizer:
        often = f"{FREQUENT:.0%} of the tokens are frequent"
        log.info("vocabulary_size %d: the largest of %d to %d of which %s", vocabulary_size, SIZES[0], SIZES[-1], often)
    elif not options.tokenizer and vocabulary_size < number(wanted):
        log.info("the data are enough for %d tokens of vocabulary_size=%d", vocabulary_size, wanted)
    kept, identity = tally.kept, [Manifest.SCHEMA.version, fingerprint, options.content()]
    if options.tokenizer:
        identity.append(hashlib.sha256(Corpus(folder).tokenizer.read_bytes()).hexdigest())
    if options.counterfactual and not tally.augmented["counterfactual"]:
        log.warning(
            "counterfactual: no training pair was copied: none has a term of an entry, or, with four terms, none has "
            "them equally often on both sides; terms are whole words, so list every form"
        )
    counts = Counts(
        read=tally.read,
        kept=kept.total(),
        rejected=dict(sorted(tally.rejected.items())),
        train=kept["train"],
        valid=kept["valid"],
        test=kept["test"],
        augmented=dict(sorted(tally.augmented.items())),
        truncated=dict(sorted(tally.truncated.items())),
        feedback=tally.feedback,
    )
    splits = ", ".join(f"{split} {kept[split]}" for split in ("train", "valid", "test"))
    log.info("read %d rows, kept %d: %s", counts.read, counts.kept, splits)
    if counts.feedback:
        log.info("%d training pairs are corrections from feedback", counts.feedback)
    if truncated := sum(counts.truncated.values()):
        log.info("truncated the sources of %d pairs to max_tokens=%d", truncated, options.max_tokens)
    if counts.read != counts.kept + sum(counts.rejected.values()):
        raise RuntimeError(f"rows were lost: {counts}")
    return Manifest(
        fingerprint=hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest(),
        options=options.content(),
        counts=counts,
        shards=tally.shards,
        vocabulary_size=vocabulary_size,
        source_language=options.source_language,
        target_language=options.target_language,
        id_type=id_type(vocabulary_size),
    )
