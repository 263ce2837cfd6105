"""The plan_trials stage: the search of tune in the format of Vertex AI's hyperparameter tuning."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from seqline.components.train.options import Options as Training
from seqline.components.tune.options import Options
from seqline.components.tune.space import read_space
from seqline.components.tune.starting import check_start
from seqline.components.tune.trial import check_decided, flags

# Vertex AI gives every trial its own folder, and appends the searched flags.
TRAIN = 'exec python3 -m seqline.components.train --output="/gcs/${AIP_MODEL_DIR#gs://}checkpoint" "$@"'


class Plan(NamedTuple):
    """Three parts of a `HyperparameterTuningJob`.

    Attributes:
        worker_pool_specs: Machine and command of a trial: `WorkerPoolSpec` messages.
        parameters: The search space: `StudySpec.ParameterSpec` messages.
        trials: Number of trials.
    """

    worker_pool_specs: list[dict[str, Any]]
    parameters: list[dict[str, Any]]
    trials: int


def plan_trials(
    corpus: str,
    worker: Mapping[str, Any],
    warm_start: str = "",
    options: Options = Options(),  # noqa: B008 (frozen)
    training: Training = Training(preset=Training.FIXED_PRESET),  # noqa: B008 (frozen)
) -> Plan:
    """Translates a search for Vertex AI.

    Args:
        corpus: The corpus folder, as the trials see it.
        worker: The `WorkerPoolSpec` of a trial: machine, image, environment; its command is added.
        warm_start: A checkpoint folder whose weights every trial starts from; empty for random weights.
        options: Search space and budget.
        training: Training options of the first trial, and of all trials where they are not searched.

    Raises:
        UserError: If the space is not valid, a training option is auto, or the checkpoint to start from has another
            preset.
    """
    check_decided(training)
    dimensions = read_space(options.space, training)
    check_start(warm_start, training, dimensions)
    parameters = [one.parameter(getattr(training, one.name)) for one in dimensions]
    container = {
        **worker["container_spec"],
        "command": ["sh", "-c", TRAIN, "train"],
        "args": flags(corpus, options, training, warm_start),
    }
    return Plan([{**worker, "container_spec": container}], parameters, options.trials)
