"""The evaluate stage: runs an exported model on the corpus's test set and measures it."""

import logging
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from seqline.accelerators import require_gpu
from seqline.artifacts.corpus import Corpus
from seqline.artifacts.evaluation import FILE, STANDINGS, Evaluation, Standing, append_sentences, write_evaluation
from seqline.atomic import atomic_directory
from seqline.components.evaluate.measuring import measure
from seqline.components.evaluate.options import Options
from seqline.components.evaluate.report import write_report
from seqline.errors import UserError
from seqline.inputs.storage import local_copy
from seqline.metrics.slices import find_slices
from seqline.metrics.test_set import TestSet
from seqline.plugins.registry import METRICS

log = logging.getLogger(__name__)


def evaluate(
    model: str,
    corpus: Path,
    evaluation: Path,
    report: Path,
    options: Options = Options(),  # noqa: B008 (frozen)
    required: bool = True,
    standing: str = "",
    problem: str = "",
    files: str = "",
) -> Evaluation:
    """Measures an exported model on a corpus's test set, through the signature that will be served.

    evaluation/
      evaluation.json   metrics with their signatures and intervals, slices, fingerprints of model and corpus
      sentences.jsonl   source, reference, output and score of every test sentence
      statistics/       per-sentence counts behind the metrics

    A version that the challenger is compared with can be missing, or it cannot be evaluated: the evaluation records
    which, and why, and the gate handles it.

    Args:
        model: The SavedModel's folder, or one in a bucket, such as gs:// or s3://.
        corpus: The corpus folder that tokenize wrote.
        evaluation: The folder to write.
        report: The HTML page to write.
        options: Options of evaluation.
        required: Whether a model that cannot be evaluated is an error; otherwise the evaluation records the problem.
        standing: Why there is no model to measure, as the champion stage found: none, same or champion; empty where
            there is one.
        problem: Why the model cannot be evaluated, as the champion stage found; empty where it should be.
        files: Digest of the model's files in a bucket, as the champion stage found them; empty for any.

    Returns:
        The evaluation.

    Raises:
        UserError: If the model is missing, does not load or gives scores that are not numbers, the test set is empty or
            lacks a source or a reference, or files in a bucket cannot be read or are others than those.
    """
    require_gpu()
    METRICS.require("evaluate", options.plugins)
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
    if problem:
        return _record_problem(evaluation, report, absent, direction, problem)
    if standing:
        log.info("there is no model to measure: %s", standing)
        return _write(evaluation, report, replace(absent, standing=_standing(standing), problem=""), direction)
    with ExitStack() as stack:
        # What a bucket refuses may pass: it is an error, because what this records is cached.
        local = stack.enter_context(local_copy(str(model), files))
        if not local.is_dir() or not any(local.iterdir()):
            if required:
                raise UserError(f"{model} contains no exported model; export it again")
            return _record_problem(evaluation, report, absent, direction, f"its files are missing: {model}")
        test_set = TestSet(corpus)
        slices = find_slices(test_set, options.terms)  # checks the whole test set before the model is loaded
        try:
            with atomic_directory(evaluation, FILE) as folder:
                measured, scores = measure(local, test_set, slices, folder, absent, options.batch_size, options.metrics)
                write_evaluation(folder, measured)
                write_report(report, folder, measured, direction, scores)
            return measured
        except UserError as error:
            if required:
                raise
            return _record_problem(evaluation, report, absent, direction, str(error))


def _standing(text: str) -> Standing:
    found = next((one for one in STANDINGS if one == text and one), None)
    if found is None:
        raise UserError(f"standing must be one of {', '.join(filter(None, STANDINGS))}, not {text!r}")
    return found


def _record_problem(evaluation: Path, report: Path, absent: Evaluation, direction: str, problem: str) -> Evaluation:
    log.warning("the version to compare with cannot be evaluated: %s", problem)
    return _write(evaluation, report, replace(absent, problem=problem), direction)


def _write(evaluation: Path, report: Path, absent: Evaluation, direction: str) -> Evaluation:
    with atomic_directory(evaluation, FILE) as folder:
        append_sentences(folder, [])
        write_evaluation(folder, absent)
        write_report(report, folder, absent, direction, None)
    return absent
