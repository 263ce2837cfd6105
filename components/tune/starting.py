"""The checkpoint that trials start from."""

from collections.abc import Sequence

from seqline.artifacts.checkpoint import Checkpoint
from seqline.buckets import mounted
from seqline.components.train.options import Options as Training
from seqline.components.tune.space import Dimension
from seqline.errors import UserError
from seqline.inputs.storage import local_copy


def check_start(warm_start: str, training: Training, dimensions: Sequence[Dimension]) -> None:
    """Refuses presets of another size than the checkpoint's: those trials would all fail.

    Args:
        warm_start: The checkpoint folder that every trial starts from, local or in a bucket; empty for none.
        training: Training options of the first trial, and of all trials where they are not searched.
        dimensions: The search space.

    Raises:
        UserError: If a trial would have another preset, or the checkpoint cannot be read.
    """
    if not warm_start or training.pretrained:
        return
    with local_copy(mounted(warm_start)) as folder:
        preset = Checkpoint(folder).read_config().preset
    searched = next((one.values for one in dimensions if one.name == "preset"), ())
    others = [str(value) for value in searched or (training.preset,) if value != preset]
    if not preset or not others:
        return
    advice = f"set training.preset to {preset}"
    if searched:
        advice = f"remove preset from tuning.space, and {advice}"
    raise UserError(
        f"warm_start: {warm_start} has preset {preset}, but trials would have preset {' and '.join(others)}; {advice}"
    )
