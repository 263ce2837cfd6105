"""The tune stage: a corpus and a search space in, the best hyperparameters out."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seqline.artifacts.corpus import Corpus
from seqline.artifacts.tuning import best_of, write_tuning
from seqline.components.train.options import Options
from seqline.components.tune.budget import Budget
from seqline.components.tune.report import write_report
from seqline.components.tune.space import Hyperparameters, read_space
from seqline.components.tune.trial import check_preset

__all__ = ["Budget", "Hyperparameters", "Options", "tune"]

log = logging.getLogger(__name__)


def tune(
    corpus: Path,
    tuning: Path,
    report: Path,
    space: Mapping[str, Any],
    checkpoints: str = "",
    warm_start: str = "",
    budget: Budget = Budget(),  # noqa: B008 (frozen)
    options: Options = Options(),  # noqa: B008 (frozen)
) -> tuple[Hyperparameters, float]:
    """Searches for the hyperparameters with the least validation loss.

    Every trial is a training of its own (`python -m seqline.components.train`). The first has the hyperparameters of `options`,
    so that what is found is no worse; the next are chosen by Optuna's TPE, and stopped when they fall behind the
    median of the others. A study that was killed continues, and one that is finished too when there are to be more
    trials, when it is started again with the same corpus, space, options and `checkpoints`. The output's layout is in
    `seqline.artifacts.tuning`.

    Args:
        corpus: The corpus folder that tokenize wrote.
        tuning: The folder to write.
        report: The HTML page to write.
        space: What to search, by hyperparameter; `seqline.components.tune.space` shows the form, and what an empty one is.
        checkpoints: Where the study and the working state of its trials are kept; beside the output by default.
        warm_start: A checkpoint folder whose weights every trial starts from; empty for random ones.
        budget: What is spent.
        options: Options of training: of the first trial, and of all where they are not searched. How long a trial
            trains and what is measured meanwhile is the budget's and the search's to say.

    Returns:
        All hyperparameters, with the best values of those that were searched; and the best trial's figure.

    Raises:
        UserError: If the space is not valid, the preset is auto, or no trial runs to its end.
    """
    dimensions = read_space(space)
    manifest = Corpus(corpus).read_manifest()
    check_preset(options)
    identity = [manifest.fingerprint, dict(space), asdict(options), warm_start, {**asdict(budget), "trials": 0}]
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    folder = Path(checkpoints) if checkpoints else tuning.parent / f".{tuning.name}.state"
    # Optuna takes a second to import: not before the space is known to be good.
    from seqline.components.tune.study import Study

    study = Study(folder / f"tuning-{digest}", corpus, dimensions, budget, options, warm_start)
    trials = study.run()
    best = best_of(trials)
    log.info("best is trial %d: %.4f with %s", best.number, best.value, json.dumps(best.parameters))
    write_tuning(tuning, trials)
    write_report(report, trials, dimensions)
    return Hyperparameters.of(options).with_values(best.parameters), min(best.epochs.values())
