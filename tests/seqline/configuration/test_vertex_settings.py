"""Settings of targets.vertex that exclude each other, or that the service would refuse hours later."""

from typing import Any

import pytest
from pydantic import ValidationError

from seqline.configuration.vertex import TrainingJob, VertexTarget

TARGET = {"project": "my-project", "location": "europe-west4", "pipeline_root": "gs://bucket/root"}
GPU = {"machine_type": "g2-standard-8", "accelerator_type": "NVIDIA_L4"}
ATTACHMENT = "projects/p/regions/europe-west4/networkAttachments/a"
PEERING = [{"domain": "corp.", "project": "p", "network": "n"}]
KEY = "projects/p/locations/{}/keyRings/r/cryptoKeys/k"
BOARD = "projects/p/locations/{}/tensorboards/1"


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({**GPU, "spot": True, "flex_start": True}, "spot and flex_start exclude each other"),
        ({"flex_start": True}, "flex_start is for L4, A100, H100, H200 and B200 GPUs, not for a CPU"),
        ({"flex_start": True, "accelerator_type": "NVIDIA_TESLA_T4"}, "not for NVIDIA_TESLA_T4"),
        ({"flex_start": True, "tpu": {"version": "v5e"}}, "not for a TPU slice"),
        ({**GPU, "flex_start": True, "timeout": 8 * 86400}, "such a job runs for 7 days at most"),
        ({**GPU, "max_wait": 60}, "max_wait is for flex_start only"),
        ({"reservation": "any"}, "Vertex uses reservations of machines with GPUs only"),
        ({**GPU, "reservation": "any", "spot": True}, "neither spot machines nor those of flex_start"),
        ({**GPU, "reservation": "gpus"}, "String should match pattern"),
        ({"tensorboard": "my-board"}, "String should match pattern"),
    ],
)
def test_an_impossible_training_job_is_refused(training: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainingJob.model_validate(training)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": "projects/1/global/networks/n", "network_attachment": ATTACHMENT}, "two ways into a network"),
        ({"dns_peering": PEERING}, "set network_attachment"),
        ({"network_attachment": ATTACHMENT, "dns_peering": [{**PEERING[0], "domain": "corp"}]}, "should match pattern"),
        ({"reserved_ip_ranges": ["range"]}, "those of a peered network; set network"),
        ({"encryption_key": KEY.format("us-central1")}, "Vertex needs a key in the region .* europe-west4"),
        ({"encryption_key": "k"}, "String should match pattern"),
        ({"training": {"tensorboard": BOARD.format("europe-west4")}}, "set service_account"),
        (
            {"training": {"tensorboard": BOARD.format("us-central1")}, "service_account": "a@b.iam"},
            "the TensorBoard must be in europe-west4",
        ),
        ({"labels": {"managed-by": "me"}}, "managed-by is a label of Seqline's own"),
        ({"labels": {"seqline-spec": "a"}}, "seqline-spec is a label of Seqline's own"),
        ({"labels": {f"l{number}": "" for number in range(57)}}, "there are 57, but Vertex has room for 56"),
        ({"experiment": "Translation"}, "String should match pattern"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        VertexTarget.model_validate({**TARGET, **settings})


def test_a_network_attachment_is_a_psc_interface_with_its_zones() -> None:
    settings = VertexTarget.model_validate({**TARGET, "network_attachment": ATTACHMENT, "dns_peering": PEERING})
    zone = {"domain": "corp.", "target_project": "p", "target_network": "n"}
    assert settings.psc_interface == {"network_attachment": ATTACHMENT, "dns_peering_configs": [zone]}
    assert VertexTarget.model_validate(TARGET).psc_interface == {}
