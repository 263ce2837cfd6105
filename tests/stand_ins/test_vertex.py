"""The stand-in refuses what Vertex refuses; otherwise its tests would prove nothing."""

import urllib.error
import urllib.request
from typing import Any

import pytest
import requests
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform_v1 as v1

from tests.stand_ins.vertex import PROJECT, VertexStandIn

PARENT = f"projects/{PROJECT}/locations/us-central1"
MACHINE = {"machine_spec": {"machine_type": "n1-standard-2"}, "min_replica_count": 1}


def connect(client: Any, vertex: VertexStandIn) -> Any:
    return client(transport="rest", credentials=AnonymousCredentials(), client_options={"api_endpoint": vertex.url})


def upload(vertex: VertexStandIn, **fields: Any) -> v1.UploadModelResponse:
    model = v1.Model(display_name="en-de", artifact_uri="gs://b/m", container_spec={"image_uri": "i"})
    request = v1.UploadModelRequest(parent=PARENT, model=model, **fields)
    return connect(v1.ModelServiceClient, vertex).upload_model(request=request).result()


def send(vertex: VertexStandIn, path: str, body: bytes) -> int:
    request = urllib.request.Request(f"{vertex.url}/v1/{path}", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize(
    "body",
    [
        b'{"displayNme": "typo"}',
        b'{"displayName": 3}',
        b'{"description": "no display name"}',
        b'{"displayName": "e", "labels": {"Upper": "case"}}',
        b'{"displayName": "' + b"x" * 129 + b'"}',
    ],
)
def test_a_request_that_the_schema_refuses_is_refused(vertex: VertexStandIn, body: bytes) -> None:
    assert send(vertex, f"{PARENT}/endpoints", body) == 400
    assert send(vertex, f"{PARENT}/endpoints", b'{"displayName": "e"}') == 200
    assert len(vertex.endpoints.resources.items) == 1


def test_another_project_is_not_served(vertex: VertexStandIn) -> None:
    with pytest.raises(exceptions.Forbidden):
        connect(v1.EndpointServiceClient, vertex).get_endpoint(name="projects/other/locations/l/endpoints/1")


def test_versions_are_counted_and_an_alias_moves(vertex: VertexStandIn) -> None:
    models = connect(v1.ModelServiceClient, vertex)
    name = upload(vertex, model_id="en-de").model
    for expected in ("2", "3"):
        assert upload(vertex, parent_model=name).model_version_id == expected
    models.merge_version_aliases(name=f"{name}@2", version_aliases=["champion"])
    models.merge_version_aliases(name=f"{name}@3", version_aliases=["champion", "default"])
    aliases = {one.version_id: sorted(one.version_aliases) for one in models.list_model_versions(name=name)}
    assert aliases == {"1": [], "2": [], "3": ["champion", "default"]}
    assert models.get_model(name=f"{name}@champion").version_id == "3"


def test_an_endpoint_splits_its_traffic_and_keeps_what_it_serves(vertex: VertexStandIn) -> None:
    endpoints = connect(v1.EndpointServiceClient, vertex)
    name = upload(vertex).model
    upload(vertex, parent_model=name)
    endpoint = endpoints.create_endpoint(parent=PARENT, endpoint=v1.Endpoint(display_name="e")).result().name

    def deploy(version: int, split: dict[str, int]) -> str:
        deployed = v1.DeployedModel(model=f"{name}@{version}", dedicated_resources=MACHINE)
        operation = endpoints.deploy_model(endpoint=endpoint, deployed_model=deployed, traffic_split=split)
        return operation.result().deployed_model.id

    first = deploy(1, {"0": 100})
    with pytest.raises(exceptions.BadRequest, match="add up to 100"):
        deploy(2, {"0": 10, first: 80})
    second = deploy(2, {"0": 10, first: 90})
    answers = [
        connect(v1.PredictionServiceClient, vertex).predict(endpoint=endpoint, instances=["a"]).model_version_id
        for _ in range(100)
    ]
    assert answers.count("2") == 10
    with pytest.raises(exceptions.BadRequest, match="has traffic"):
        endpoints.undeploy_model(endpoint=endpoint, deployed_model_id=second)
    endpoints.undeploy_model(endpoint=endpoint, deployed_model_id=second, traffic_split={first: 100}).result()
    assert dict(endpoints.get_endpoint(name=endpoint).traffic_split) == {first: 100}
    with pytest.raises(exceptions.BadRequest, match="is deployed"):
        connect(v1.ModelServiceClient, vertex).delete_model(name=name)


def test_a_stale_etag_is_refused_and_an_update_without_one_overwrites(vertex: VertexStandIn) -> None:
    endpoints, models = connect(v1.EndpointServiceClient, vertex), connect(v1.ModelServiceClient, vertex)
    made = endpoints.create_endpoint(parent=PARENT, endpoint=v1.Endpoint(display_name="e")).result()
    mask = {"paths": ["labels"]}
    changed = endpoints.update_endpoint(endpoint=v1.Endpoint(made, labels={"a": "1"}), update_mask=mask)
    assert changed.etag != made.etag
    with pytest.raises(exceptions.Conflict, match="is not the current one"):
        endpoints.update_endpoint(endpoint=v1.Endpoint(made, labels={"a": "2"}), update_mask=mask)
    blind = v1.Endpoint(name=made.name, display_name="e", labels={"a": "3"})
    assert endpoints.update_endpoint(endpoint=blind, update_mask=mask).labels["a"] == "3"
    model = models.get_model(name=upload(vertex).model)
    models.update_model(model=v1.Model(model, labels={"a": "1"}), update_mask=mask)
    with pytest.raises(exceptions.Conflict, match="is not the current one"):
        models.update_model(model=v1.Model(model, labels={"a": "2"}), update_mask=mask)


def test_a_slow_operation_is_listed_and_takes_effect_at_its_end(vertex: VertexStandIn) -> None:
    endpoints = connect(v1.EndpointServiceClient, vertex)
    model = upload(vertex).model
    endpoint = endpoints.create_endpoint(parent=PARENT, endpoint=v1.Endpoint(display_name="e")).result().name
    vertex.operations.slow = {"DeployModel": 1}
    deployed = v1.DeployedModel(model=model, dedicated_resources=MACHINE)
    name = endpoints.deploy_model(endpoint=endpoint, deployed_model=deployed).operation.name
    assert not endpoints.get_operation(request={"name": name}).done
    assert not endpoints.get_endpoint(name=endpoint).deployed_models
    assert name in [one.name for one in endpoints.list_operations(request={"name": endpoint}).operations]
    assert endpoints.get_operation(request={"name": name}).done
    assert endpoints.get_endpoint(name=endpoint).deployed_models


def test_a_broken_container_fails_the_operation_and_changes_nothing(vertex: VertexStandIn) -> None:
    endpoints = connect(v1.EndpointServiceClient, vertex)
    made = upload(vertex)
    vertex.endpoints.broken.add(f"{made.model}@1")
    endpoint = endpoints.create_endpoint(parent=PARENT, endpoint=v1.Endpoint(display_name="e")).result().name
    deployed = v1.DeployedModel(model=made.model, dedicated_resources=MACHINE)
    with pytest.raises(exceptions.GoogleAPICallError, match="never became ready"):
        endpoints.deploy_model(endpoint=endpoint, deployed_model=deployed, traffic_split={"0": 100}).result()
    assert not endpoints.get_endpoint(name=endpoint).deployed_models


def test_faults_strike_once_and_a_lost_answer_is_carried_out(vertex: VertexStandIn) -> None:
    endpoints = connect(v1.EndpointServiceClient, vertex)
    for kind, error in (
        ("429", exceptions.TooManyRequests),
        ("503", exceptions.ServiceUnavailable),
        ("permission denied", exceptions.Forbidden),
        ("lost request", requests.ConnectionError),
        ("lost answer", requests.ConnectionError),
    ):
        vertex.faults.add("CreateEndpoint", kind)
        with pytest.raises(error):
            endpoints.create_endpoint(parent=PARENT, endpoint=v1.Endpoint(display_name=kind.replace(" ", "-")))
    assert [one.display_name for one in endpoints.list_endpoints(parent=PARENT)] == ["lost-answer"]


def test_lists_come_in_pages_and_filtered(vertex: VertexStandIn) -> None:
    endpoints = connect(v1.EndpointServiceClient, vertex)
    for name in "abcde":
        endpoints.create_endpoint(parent=PARENT, endpoint=v1.Endpoint(display_name=name, labels={"k": name})).result()
    assert [one.display_name for one in endpoints.list_endpoints(parent=PARENT)] == list("edcba")
    assert len(vertex.called("ListEndpoints")) == 3
    found = endpoints.list_endpoints(request={"parent": PARENT, "filter": 'labels.k="c"'})
    assert [one.display_name for one in found] == ["c"]
    with pytest.raises(exceptions.BadRequest, match="not supported"):
        list(endpoints.list_endpoints(request={"parent": PARENT, "filter": 'colour="red"'}))


def test_a_search_runs_its_trials_in_the_ranges(vertex: VertexStandIn) -> None:
    vertex.jobs.objective = lambda parameters: -abs(parameters["rate"].number_value - 0.6)
    study = {
        "metrics": [{"metric_id": "bleu", "goal": "MAXIMIZE"}],
        "parameters": [{"parameter_id": "rate", "double_value_spec": {"min_value": 0.0, "max_value": 1.0}}],
    }
    pool = {"machine_spec": {"machine_type": "n1-standard-4"}, "replica_count": 1, "container_spec": {"image_uri": "i"}}
    job = v1.HyperparameterTuningJob(
        display_name="search",
        study_spec=study,
        max_trial_count=4,
        parallel_trial_count=2,
        trial_job_spec={"worker_pool_specs": [pool]},
    )
    jobs = connect(v1.JobServiceClient, vertex)
    name = jobs.create_hyperparameter_tuning_job(parent=PARENT, hyperparameter_tuning_job=job).name
    found = [jobs.get_hyperparameter_tuning_job(name=name) for _ in range(2)][-1]
    best = max(found.trials, key=lambda trial: trial.final_measurement.metrics[0].value)
    assert best.parameters[0].value == pytest.approx(0.6)
    job.parallel_trial_count = 9
    with pytest.raises(exceptions.BadRequest, match="above max_trial_count"):
        jobs.create_hyperparameter_tuning_job(parent=PARENT, hyperparameter_tuning_job=job)


def made(vertex: VertexStandIn, **fields: Any) -> v1.Endpoint:
    endpoint = v1.Endpoint(display_name="e", **fields)
    return connect(v1.EndpointServiceClient, vertex).create_endpoint(parent=PARENT, endpoint=endpoint).result()


def serves(vertex: VertexStandIn, **fields: Any) -> v1.Endpoint:
    """An endpoint with a model."""
    endpoint, deployed = (
        made(vertex, **fields),
        v1.DeployedModel(model=upload(vertex).model, dedicated_resources=MACHINE),
    )
    endpoints = connect(v1.EndpointServiceClient, vertex)
    endpoints.deploy_model(endpoint=endpoint.name, deployed_model=deployed, traffic_split={"0": 100}).result()
    return endpoints.get_endpoint(name=endpoint.name)


def asked(host: str, vertex: VertexStandIn, endpoint: v1.Endpoint, body: dict[str, Any], method: str) -> Any:
    address = f"http://{host}:{vertex.endpoints.port}/v1/{endpoint.name}:{method}"
    return requests.post(address, json=body, timeout=10)


HOSTS = {"dedicated": "localhost", "shared": "127.0.0.1", "private": "127.1"}
FIELDS: dict[str, dict[str, Any]] = {
    "dedicated": {"dedicated_endpoint_enabled": True},
    "shared": {},
    "private": {"private_service_connect_config": {"enable_private_service_connect": True}},
}


@pytest.mark.parametrize("kind", HOSTS)
def test_an_endpoint_answers_under_its_own_domain_only(vertex: VertexStandIn, kind: str) -> None:
    endpoint = serves(vertex, **FIELDS[kind])
    statuses = {
        domain: asked(host, vertex, endpoint, {"instances": ["a"]}, "predict").status_code
        for domain, host in HOSTS.items()
    }
    refused = 400 if kind == "dedicated" else 404
    expected = {"dedicated": 404, "shared": refused, "private": 404, kind: 200}
    assert statuses == expected
    streamed = asked(HOSTS[kind], vertex, endpoint, {"instances": ["a"]}, "streamRawPredict")
    assert streamed.status_code == (400 if kind == "shared" else 200)
    assert requests.get(f"http://localhost:{vertex.endpoints.port}/v1/{endpoint.name}", timeout=10).status_code == 404


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"client_connection_config": {"inference_timeout": {"seconds": 60}}}, "not supported on a shared endpoint"),
        (
            {**FIELDS["dedicated"], "client_connection_config": {"inference_timeout": {"seconds": 3601}}},
            "at most 3600s",
        ),
        ({"network": "projects/1/global/networks/n", **FIELDS["private"]}, "mutually exclusive"),
        ({"predict_request_response_logging_config": {"enabled": True}}, "sampling_rate must be in"),
        (
            {"predict_request_response_logging_config": {"enabled": True, "sampling_rate": 0.5}},
            "output_uri is invalid",
        ),
        ({"encryption_spec": {"kms_key_name": "k"}}, "'k' is not a key in us-central1"),
        (
            {"encryption_spec": {"kms_key_name": "projects/p/locations/europe-west4/keyRings/r/cryptoKeys/k"}},
            "is not a key in us-central1",
        ),
    ],
)
def test_an_impossible_endpoint_is_refused(vertex: VertexStandIn, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(exceptions.BadRequest, match=message):
        made(vertex, **fields)


@pytest.mark.parametrize(
    "field",
    ["dedicated_endpoint_enabled", "encryption_spec", "client_connection_config", "private_service_connect_config"],
)
def test_what_an_endpoint_was_made_with_cannot_be_updated(vertex: VertexStandIn, field: str) -> None:
    endpoint = made(vertex)
    with pytest.raises(exceptions.BadRequest, match=f"Field {field} of an endpoint cannot be updated"):
        connect(v1.EndpointServiceClient, vertex).update_endpoint(endpoint=endpoint, update_mask={"paths": [field]})


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"min_replica_count": 0}, "min_replica_count"),
        ({"min_replica_count": 3, "max_replica_count": 2}, "below min_replica_count"),
        ({"machine_spec": {"machine_type": "n1-standard-4", "accelerator_type": "NVIDIA_L4"}}, "accelerator_count"),
        (
            {"machine_spec": {"machine_type": "n1-standard-4", "accelerator_type": 11, "accelerator_count": 1}},
            "NVIDIA_L4 is not supported with machine type n1-standard-4",
        ),
        ({"autoscaling_metric_specs": [{"metric_name": "cpu", "target": 50}]}, "invalid metrics"),
        (
            {
                "autoscaling_metric_specs": [
                    {"metric_name": "aiplatform.googleapis.com/prediction/online/accelerator/duty_cycle", "target": 50}
                ]
            },
            "no accelerator to measure",
        ),
    ],
)
def test_impossible_machines_of_a_model_are_refused(
    vertex: VertexStandIn, resources: dict[str, Any], message: str
) -> None:
    deployed = v1.DeployedModel(model=upload(vertex).model, dedicated_resources={**MACHINE, **resources})
    with pytest.raises(exceptions.BadRequest, match=message):
        connect(v1.EndpointServiceClient, vertex).deploy_model(endpoint=made(vertex).name, deployed_model=deployed)


L4 = {"machine_type": "g2-standard-8", "accelerator_type": "NVIDIA_L4", "accelerator_count": 1}
SPECIFIC = {"reservation_affinity_type": "SPECIFIC_RESERVATION"}


@pytest.mark.parametrize(
    ("machine", "spec", "message"),
    [
        (L4, {"scheduling": {"max_wait_duration": {"seconds": 60}}}, "only valid with strategy FLEX_START"),
        ({"machine_type": "n1-standard-4"}, {"scheduling": {"strategy": "FLEX_START"}}, "only supported for L4"),
        (L4, {"scheduling": {"strategy": "FLEX_START", "timeout": {"seconds": 700_000}}}, "at most 7 days"),
        ({**L4, "reservation_affinity": SPECIFIC}, {}, "needs key and values"),
        (
            {**L4, "reservation_affinity": {"reservation_affinity_type": "ANY_RESERVATION"}},
            {"scheduling": {"strategy": "SPOT"}},
            "not supported with strategy SPOT",
        ),
        (
            {"machine_type": "n1-standard-4", "reservation_affinity": {"reservation_affinity_type": "ANY_RESERVATION"}},
            {},
            "reservations of VMs that have GPUs",
        ),
        (L4, {"tensorboard": "t"}, "service_account must be set"),
        (L4, {"tensorboard": "t", "service_account": "a"}, "base_output_directory must be set"),
    ],
)
def test_an_impossible_job_is_refused(
    vertex: VertexStandIn, machine: dict[str, Any], spec: dict[str, Any], message: str
) -> None:
    pool = {"machine_spec": machine, "replica_count": 1, "container_spec": {"image_uri": "i"}}
    job = v1.CustomJob(display_name="j", job_spec={"worker_pool_specs": [pool], **spec})
    with pytest.raises(exceptions.BadRequest, match=message):
        connect(v1.JobServiceClient, vertex).create_custom_job(parent=PARENT, custom_job=job)
