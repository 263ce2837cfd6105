"""The evaluate stage: an exported model and the corpus's test text in, figures out."""

import logging
from dataclasses import replace
from pathlib import Path

from seqline.artifacts.corpus import Corpus
from seqline.artifacts.evaluation import Evaluation, append_sentences, write_evaluation
from seqline.atomic import atomic_directory
from seqline.components.evaluate.measuring import measure
from seqline.components.evaluate.options import Options
from seqline.components.evaluate.report import write_report
from seqline.errors import UserError
from seqline.metrics.slices import find_slices
from seqline.metrics.test_set import TestSet

log = logging.getLogger(__name__)


def evaluate(
    model: Path,
    corpus: Path,
    evaluation: Path,
    report: Path,
    options: Options = Options(),  # noqa: B008 (frozen)
    required: bool = True,
) -> Evaluation:
    """Measures an exported model on a corpus's test text, through the signature that will be served.

    evaluation/
      evaluation.json   figures with their signatures and intervals, slices, fingerprints of model and corpus
      sentences.jsonl   source, reference, output and score of every test sentence
      statistics/       what the figures were added up from

    A model folder that is empty or missing is written down as absent: there is no champion to compare with.

    Args:
        model: The SavedModel's folder.
        corpus: The corpus folder that tokenize wrote.
        evaluation: The folder to write.
        report: The HTML page to write.
        options: Options of evaluation.
        required: Whether a model that cannot be measured is an error. A champion is not required: the evaluation
            records that it no longer loads, and the gate handles it.

    Returns:
        What evaluation.json says.

    Raises:
        UserError: If the model does not load or gives scores that are not numbers, or the test text is empty
            or lacks a source or a reference.
    """
    manifest = Corpus(corpus).read_manifest()
    direction = f"{manifest.source_language} → {manifest.target_language}"
    absent = Evaluation(
        absent=True,
        model_fingerprint="",
        corpus_fingerprint=manifest.fingerprint,
        task=options.task,
        language=manifest.target_language,
        min_slice_size=options.min_slice_size,
    )
    if not model.is_dir() or not any(model.iterdir()):
        log.info("%s holds no model: writing down that it is absent", model)
        return _write(evaluation, report, absent, direction)
    text = TestSet(corpus)
    slices = find_slices(text, options.terms)  # checks all of the text, before the model is looked at
    try:
        with atomic_directory(evaluation) as folder:
            measured, ranks = measure(model, text, slices, folder, absent, options.batch_size)
            write_evaluation(folder, measured)
            write_report(report, folder, measured, direction, ranks)
        return measured
    except UserError as error:
        if required:
            raise
        log.warning("the champion cannot be measured: %s", error)
        return _write(evaluation, report, replace(absent, problem=str(error)), direction)


def _write(evaluation: Path, report: Path, absent: Evaluation, direction: str) -> Evaluation:
    with atomic_directory(evaluation) as folder:
        append_sentences(folder, [])
        write_evaluation(folder, absent)
        write_report(report, folder, absent, direction, None)
    return absent
