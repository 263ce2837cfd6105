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
