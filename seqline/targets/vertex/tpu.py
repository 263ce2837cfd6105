"""The TPU slice of training."""

from seqline.configuration.vertex import TrainingJob

TASK_TOPOLOGY = "2x2"
"""Of a task with an accelerator, which has no topology of its own."""


def slice_name(job: TrainingJob | None, accelerator: str) -> str:
    """Returns the slice that training runs on, such as v5e:2x4; empty if it is not a TPU.

    Args:
        job: Training as a custom job; None for a task of the pipeline.
        accelerator: The task's accelerator, such as TPU_V3.
    """
    if job is not None:
        return f"{job.tpu.version}:{job.tpu.topology}" if job.tpu is not None else ""
    return f"{accelerator.removeprefix('TPU_').lower()}:{TASK_TOPOLOGY}" if accelerator.startswith("TPU_V") else ""
