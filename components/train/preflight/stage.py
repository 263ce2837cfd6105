"""The preflight stage: whether training compiles for a TPU and fits it, and what it would cost."""

import logging
from pathlib import Path

from seqline.artifacts.corpus import Corpus
from seqline.atomic import atomic_directory
from seqline.components.train.options import Options
from seqline.components.train.preflight.compiled_plan import compile_plan
from seqline.components.train.preflight.plan import plan_of
from seqline.components.train.preflight.report import FILE, Report
from seqline.components.train.preflight.slices import read_slice
from seqline.errors import UserError

log = logging.getLogger(__name__)


def preflight(
    corpus: Path,
    output: Path,
    tpu: str = "v5e:2x2",
    compiled_buckets: int = 2,
    search: bool = True,
    options: Options = Options(),  # noqa: B008 (frozen)
) -> Report:
    """Compiles the training of a corpus with the TPU compiler, and stops if it would fail.

    The layout of the output is in `seqline.components.train.preflight.report`.

    Args:
        corpus: The corpus folder that tokenize wrote.
        output: The folder to write the report to.
        tpu: The slice, such as v5e:2x2.
        compiled_buckets: Number of batch shapes to compile; the others are interpolated.
        search: Whether to search for the largest batch that fits, even if the requested one does.
        options: Options of training.

    Returns:
        The report.

    Raises:
        UserError: If training would not compile or not fit; the message has the batch that fits.
    """
    slice_ = read_slice(tpu)
    plan = plan_of(Corpus(corpus), options, slice_.replicas)
    report = compile_plan(slice_, plan, options, compiled_buckets, search)
    for line in report.lines():
        log.info("%s", line)
    if report.faults:
        raise UserError(report.faults[0])
    with atomic_directory(output, FILE) as folder:
        report.write_to(folder)
    return report
