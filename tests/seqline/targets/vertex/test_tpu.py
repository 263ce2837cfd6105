import pytest

from seqline.configuration.vertex import TrainingJob
from seqline.targets.vertex.tpu import slice_name


@pytest.mark.parametrize(
    ("job", "accelerator", "name"),
    [
        ({"tpu": {"version": "v5e", "topology": "2x4"}}, "", "v5e:2x4"),
        ({"accelerator_type": "NVIDIA_L4"}, "TPU_V3", ""),  # a custom job replaces the task
        (None, "TPU_V3", "v3:2x2"),
        (None, "NVIDIA_L4", ""),
        (None, "", ""),
    ],
)
def test_the_slice_is_that_of_the_job_or_else_of_the_task(job: dict | None, accelerator: str, name: str) -> None:
    assert slice_name(None if job is None else TrainingJob.model_validate(job), accelerator) == name
