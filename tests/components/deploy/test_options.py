"""The options of deploy that exclude each other are found before anything is trained."""

from typing import Any

import pytest
from google.cloud.aiplatform_v1.types import AcceleratorType

from seqline.accelerators import MACHINES
from seqline.components.deploy.hosting import kserve_hosting_of, sampling_of
from seqline.components.deploy.options import Options
from seqline.endpoints.sampling import folder_in
from seqline.endpoints.vertex_hosting import Machine
from seqline.schema.options import OptionsError

NETWORK = "projects/p/global/networks/n"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"min_replicas": 2}, "max_replicas is 1, below min_replicas, 2; raise it"),
        ({"min_replicas": -1}, "min_replicas must be at least 0"),
        ({"scale_metric": "rps"}, "KServe does not scale by rps in standard mode; write cpu or memory"),
        ({"scale_target": 5}, "scale_target is set, but not scale_metric; write cpu or memory"),
        ({"scale_metric": "cpu", "scale_target": 101}, "the utilization of CPUs is at most 100 percent, not 101"),
        ({"memory": "4 GB"}, "memory"),
        ({"machine_type": ""}, "machine_type string should have at least 1 character"),
        ({"accelerator_count": 2}, "accelerator_count is set, but not accelerator_type"),
        ({"accelerator_type": "NVIDIA_T4"}, "Vertex AI does not serve on 'NVIDIA_T4'; available: NVIDIA_TESLA_P4"),
        ({"accelerator_type": "NVIDIA_L4"}, "n1-standard-4 has no NVIDIA_L4; choose one that begins with g2-standard-"),
        (
            {"accelerator_type": "NVIDIA_L4", "accelerator_count": 1, "machine_type": "g2-standard-24"},
            "g2-standard-24 has 2 NVIDIA_L4, not 1",
        ),
        ({"endpoint_type": "dedicatd"}, "endpoint_type must be auto, dedicated, shared or private"),
        (
            {"endpoint_type": "shared", "private_network": NETWORK},
            "private_network is for endpoint_type: private, not for",
        ),
        ({"private_projects": ["p"]}, "private_projects is for endpoint_type: private, not for auto"),
        (
            {"endpoint_type": "dedicated", "private_address": "10.0.0.3"},
            "private_address is for endpoint_type: private",
        ),
        ({"endpoint_type": "shared", "request_timeout": 90}, "requests to a shared endpoint have a time limit of 60 s"),
        ({"request_timeout": 3601}, "at most 3600, not 3601"),
        ({"log_table": "bq://p.d.t"}, "log_table is set, but log_requests is 0"),
        ({"log_requests": 1.5}, "at most 1, not 1.5"),
        ({"log_requests": 0.1, "log_table": "my-table"}, "log_table"),
        ({"private_network": "serving"}, "private_network"),
        ({"sample_texts": True}, "sample_texts is set, but sample_requests is 0; set the share of the answers"),
        ({"redact": "a:b"}, "redact is set, but sample_requests is 0"),
        ({"sample_folder": "x"}, "sample_folder is set, but sample_requests is 0"),
        ({"sample_requests": 2}, "at most 1, not 2"),
        ({"sample_requests": 0.1, "redact": "system('x')"}, "redact"),
        ({"target_utilization": 0}, "target_utilization must be at least 1 and"),
    ],
)
def test_options_that_exclude_each_other_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionsError) as caught:
        Options(**values)
    assert message in str(caught.value)


def test_there_are_no_other_gpus_than_those_of_the_client() -> None:
    assert set(MACHINES) <= {one.name for one in AcceleratorType}


@pytest.mark.parametrize("table", ["", "bq://my-project.logs", "bq://example.com:p.logs.requests_2026"])
def test_tables_are_named_as_in_bigquery(table: str) -> None:
    assert Options(log_requests=0.5, log_table=table).log_table == table


@pytest.mark.parametrize(
    ("machine", "gpus"),
    [("n1-standard-4", 1), ("g2-standard-8", 1), ("g2-standard-48", 4), ("a2-highgpu-4g", 4), ("a3-highgpu-8g", 8)],
)
def test_the_gpus_are_those_of_the_machine_type(machine: str, gpus: int) -> None:
    assert (
        Machine(machine_type=machine, accelerator_type="any").resources()["machine_spec"]["accelerator_count"] == gpus
    )


@pytest.mark.parametrize("steps", [[0, 50], [100], [50, 50], [60, 40], [-1]])
def test_steps_that_do_not_rise_between_0_and_100_are_refused(steps: list[int]) -> None:
    with pytest.raises(OptionsError, match=r"traffic_steps.*must rise and lie between 0 and 100"):
        Options(traffic_steps=steps)


@pytest.mark.parametrize("steps", [[], [1, 99], [10, 50]])
def test_any_rising_steps_are_taken(steps: list[int]) -> None:
    assert Options(traffic_steps=steps).traffic_steps == steps


@pytest.mark.parametrize(
    ("endpoint", "values", "message"),
    [
        ("kserve://ns/a", {"machine_type": "n1-highcpu-8"}, "machine_type has no effect on KServe; set cpu and memory"),
        ("kserve://ns/a", {"spot": True}, "spot has no effect on KServe"),
        ("kserve://ns/a", {"endpoint_type": "dedicated"}, "endpoint_type has no effect on KServe; omit it"),
        (
            "kserve://ns/a",
            {"accelerator_type": "NVIDIA_L4", "machine_type": "g2-standard-4"},
            "accelerator_type is a GPU of Vertex AI; on KServe write nvidia.com/gpu",
        ),
        ("kserve://ns/a", {"min_replicas": 0}, "min_replicas is 0, which needs deployment_mode: serverless"),
        (
            "kserve://ns/a",
            {"deployment_mode": "serverless", "target_utilization": 70},
            "target_utilization has no effect in serverless mode",
        ),
        ("projects/p/locations/l/endpoints/a", {"memory": "4Gi"}, "memory is an option of KServe"),
        ("projects/p/locations/l/endpoints/a", {"min_replicas": 0}, "min_replicas is 0; Vertex AI needs at least 1"),
        (
            "projects/p/locations/l/endpoints/a",
            {"accelerator_type": "nvidia.com/gpu"},
            "accelerator_type is Kubernetes' name of a GPU",
        ),
    ],
)
def test_an_option_that_the_endpoints_service_does_not_have_is_refused_by_name(
    endpoint: str, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionsError, match=message):
        Options(**values).check_on(endpoint)


def test_the_defaults_fit_every_service() -> None:
    for endpoint in ("kserve://ns/a", "projects/p/locations/l/endpoints/a", "/folder", ""):
        Options().check_on(endpoint)


def test_each_service_says_how_it_samples() -> None:
    def faults(endpoint: str, **options: Any) -> list[str]:
        return [f"{one.path[0]} {one.message}" for one in Options(**options).faults_in({"endpoint": endpoint})]

    assert faults("projects/p/locations/l/endpoints/m", sample_requests=0.1) == [
        "sample_requests has no effect on Vertex AI; set log_requests"
    ]
    assert faults("kserve://n/m", sample_requests=0.1) == [
        "sample_folder is ''; on KServe write the address of a bucket, such as s3://bucket/samples"
    ]
    assert faults("kserve://n/m", sample_requests=0.1, sample_folder="s3://b/samples") == []
    assert faults("endpoints/m", sample_requests=0.1) == []


def test_a_server_on_kserve_gets_the_options_as_its_flags() -> None:
    from seqline.serving.__main__ import _sampling, command_line

    options = Options(sample_requests=0.1, sample_texts=True, redact="json:dumps", sample_folder="s3://b/samples")
    (container,) = kserve_hosting_of(options).predictor("m", 3, "s3://b/model")["containers"]
    assert _sampling(command_line().parse_args(container["args"])) == sampling_of(options)
    assert folder_in(container["args"]) == "s3://b/samples"
    (container,) = kserve_hosting_of(Options()).predictor("m", 3, "s3://b/model")["containers"]
    assert not _sampling(command_line().parse_args(container["args"])).share
    assert folder_in(container["args"]) == ""


def test_without_a_folder_a_local_endpoint_chooses_its_own() -> None:
    # A path of nothing would be the server's current folder.
    assert sampling_of(Options(sample_requests=0.1)).folder == ""
    assert sampling_of(Options(sample_requests=0.1, sample_folder="samples/")).folder == "samples"
