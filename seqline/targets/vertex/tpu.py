"""The TPU slice of training."""

from seqline.configuration.accelerators import kind_of
from seqline.configuration.vertex import TrainingJob
from seqline.errors import UserError

TASK_TOPOLOGY = "2x2"
"""Of a task with an accelerator, which has no topology of its own, and of every v2 and v3 slice of one host."""
# cloud.google.com/vertex-ai/docs/training/configure-compute#tpu: more cores are those of several hosts.
TASK_TPUS = ("TPU_V2", "TPU_V3")
CORES = 8


def check_task(stage: str, accelerator: str, count: int) -> None:
    """Checks the TPU of a task; other accelerators are of no concern here.

    Args:
        stage: The task's stage.
        accelerator: Its accelerator, such as TPU_V3.
        count: Their number.

    Raises:
        UserError: If a task cannot have it, or it is not that of one host.
    """
    if kind_of(accelerator) != "TPU":
        return
    if accelerator not in TASK_TPUS:
        raise UserError(
            f"resources.{stage}.accelerator_type: a task on Vertex has {' or '.join(TASK_TPUS)}, not {accelerator}; "
            "for a v5e set targets.vertex.training.tpu instead"
        )
    if count != CORES:
        raise UserError(
            f"resources.{stage}.accelerator_count is {count}, but training uses a {accelerator} of one host, which has "
            f"{CORES} cores: set it to {CORES}"
        )


def slice_name(job: TrainingJob | None, accelerator: str) -> str:
    """Returns the slice that training runs on, such as v5e:2x4; empty if it is not a TPU.

    Args:
        job: Training as a custom job; None for a task of the pipeline.
        accelerator: The task's accelerator, such as TPU_V3.
    """
    if job is not None:
        return f"{job.tpu.version}:{job.tpu.topology}" if job.tpu is not None else ""
    return f"{accelerator.removeprefix('TPU_').lower()}:{TASK_TOPOLOGY}" if accelerator.startswith("TPU_V") else ""
