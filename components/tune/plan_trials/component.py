"""The KFP contract of plan_trials."""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl import Dataset, Input


@dsl.component(base_image="seqline/train:0.1.0", install_kfp_package=False)
def plan_trials(
    corpus: Input[Dataset],
    worker: dict,
    options: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
    training: dict = {},  # noqa: B006
    warm_start: str = "",
    warm_start_fingerprint: str = "",
) -> NamedTuple(  # type: ignore[valid-type]
    "Outputs", [("worker_pool_specs", list), ("parameters", list), ("trials", int)]
):
    """Translates a search to the format of Vertex AI's hyperparameter tuning.

    Args:
        corpus: The tokenized corpus.
        worker: Machine, image and environment of a trial: a WorkerPoolSpec, to which the command is added.
        options: Search space and budget; docs/parameters.md lists them under `tuning`.
        training: Training options of the first trial, and of all trials where they are not searched.
        warm_start: Checkpoint folder whose weights every trial starts from; empty for random weights.
        warm_start_fingerprint: The checkpoint's fingerprint from the snapshot task, which makes a replaced checkpoint a
            changed input.

    Returns:
        worker_pool_specs: Machine and command of a trial.
        parameters: The search space.
        trials: Number of trials.
    """
    from seqline.components.train.options import Options as Training
    from seqline.components.tune.options import Options
    from seqline.components.tune.plan_trials.stage import plan_trials as run

    return run(corpus.path, worker, warm_start, Options(**options), Training(**training))  # type: ignore[return-value]
