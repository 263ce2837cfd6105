"""The preflight stage: whether training compiles for a TPU and fits it, and what it would cost."""

import logging
from contextlib import nullcontext
from pathlib import Path

from seqline.artifacts.corpus import Corpus
from seqline.atomic import atomic_directory
from seqline.buckets import mounted
from seqline.components.train.options import Options
from seqline.components.train.preflight.compiled_plan import compile_plan
from seqline.components.train.preflight.plan import plan_of
from seqline.components.train.preflight.report import FILE, Report
from seqline.components.train.preflight.slices import read_slice
from seqline.errors import UserError
from seqline.inputs.storage import local_copy

log = logging.getLogger(__name__)


def preflight(
    corpus: Path,
    output: Path,
    tpu: str = "v5e:2x2",
    compiled_buckets: int = 2,
    search: bool = True,
    warm_start: str = "",
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
        warm_start: The checkpoint folder that training starts from; empty for none. It may be gs://, s3:// or minio://.
        options: Options of training.

    Returns:
        The report.

    Raises:
        UserError: If training would not compile or not fit; the message has the batch that fits.
    """
    slice_ = read_slice(tpu)
    with local_copy(mounted(warm_start)) if warm_start else nullcontext() as start:
        plan = plan_of(Corpus(corpus), options, slice_, start)
    report = compile_plan(slice_, plan, compiled_buckets, search)
    for line in report.lines():
        log.info("%s", line)
    if report.faults:
        raise UserError(report.faults[0])
    with atomic_directory(output, FILE) as folder:
        report.write_to(folder)
    return report
