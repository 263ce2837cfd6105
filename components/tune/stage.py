"""The tune stage: corpus and search space in, the best hyperparameters out."""

import hashlib
import json
import logging
from contextlib import ExitStack
from pathlib import Path

from seqline.accelerators import require_gpu
from seqline.artifacts.corpus import Corpus
from seqline.artifacts.tuning import best_of, write_tuning
from seqline.buckets import mounted
from seqline.components.train.options import Options as Training
from seqline.components.tune.options import Options
from seqline.components.tune.report import write_report
from seqline.components.tune.space import apply, read_space
from seqline.components.tune.starting import check_start
from seqline.components.tune.trial import check_decided
from seqline.exclusive import exclusive
from seqline.inputs.mirror import folder_at

log = logging.getLogger(__name__)


def tune(
    corpus: Path,
    tuning: Path,
    report: Path,
    checkpoints: str = "",
    warm_start: str = "",
    warm_start_fingerprint: str = "",
    options: Options = Options(),  # noqa: B008 (frozen)
    training: Training = Training(preset=Training.FIXED_PRESET),  # noqa: B008 (frozen)
) -> tuple[Training, float]:
    """Searches for the hyperparameters with the lowest validation loss.

    Every trial is a separate training (`python -m seqline.components.train`). The first has the hyperparameters of
    `training`, so that the result is no worse; Optuna's TPE chooses the others, and prunes those that fall behind the
    median. A study resumes when it is started again with the same corpus, options and `checkpoints`; this also adds
    trials to a finished study. The output's layout is in `seqline.artifacts.tuning`.

    Args:
        corpus: The corpus folder that tokenize wrote.
        tuning: The folder to write.
        report: The HTML page to write.
        checkpoints: Folder of the study and the working state of its trials; next to the output by default. It may be
            gs://, s3:// or minio://.
        warm_start: A checkpoint folder whose weights every trial starts from; empty for random weights.
        warm_start_fingerprint: The checkpoint's fingerprint, by which a search that was killed is found;
            its path by default.
        options: Search space and budget.
        training: Training options of the first trial, and of all trials where they are not searched. The budget
            replaces the limits on training time, and a trial reports the loss only.

    Returns:
        The training options with the best values, and the best trial's loss.

    Raises:
        UserError: If the space is not valid, a training option is auto, the checkpoint to start from has another
            preset, no trial finishes, or another process tunes with the same data and options.
    """
    require_gpu()
    check_decided(training)
    dimensions = read_space(options.space, training)
    check_start(warm_start, training, dimensions)
    manifest = Corpus(corpus).read_manifest()
    search = options.model_dump(exclude={"trials"})
    identity = [manifest.fingerprint, search, training.model_dump(), warm_start_fingerprint or warm_start]
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    where = mounted(checkpoints) if checkpoints else tuning.parent / f".{tuning.name}.state"
    # Importing Optuna takes a second: check the space first.
    from seqline.components.tune.study import Study

    with ExitStack() as stack:
        folder, mirror = stack.enter_context(folder_at(where, f"tuning-{digest}"))
        stack.enter_context(exclusive(folder, "is tuning with the same data and options"))
        trials = Study(folder, corpus, dimensions, options, training, warm_start, mirror=mirror).run()
        best = best_of(trials)
        log.info("best is trial %d: %.4f with %s", best.number, best.value, json.dumps(best.parameters))
        write_tuning(tuning, trials, "" if training.pretrained else training.preset)
        write_report(report, trials, dimensions)
    return apply(training, best.parameters), min(best.epochs.values())
