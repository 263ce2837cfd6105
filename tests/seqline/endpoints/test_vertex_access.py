"""Endpoints of every type on Vertex: made as wanted, and asked under their own address."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from google.cloud.aiplatform_v1 import types

from seqline.cli import main
from seqline.components.deploy.options import Cloud, Options
from seqline.components.deploy.stage import deploy
from seqline.endpoints import vertex as module
from seqline.endpoints.back_end import RefusedError
from seqline.endpoints.vertex import VertexBackEnd
from seqline.endpoints.vertex_hosting import Access, Hosting, kind_of
from seqline.endpoints.vertex_predictions import Predictions
from seqline.errors import UserError
from tests.components.deploy.test_deploy import decide
from tests.seqline.endpoints.test_vertex import ENDPOINT, PARENT, models
from tests.stand_ins.vertex import NUMBER, PROJECT, VertexStandIn
from tests.stand_ins.vertex import endpoints as stand_in
from tests.stand_ins.vertex.containers import unhealthy

__all__ = ["models"]

IMAGE = "eu-docker.pkg.dev/p/r/serve@sha256:1"
NETWORK = f"projects/{PROJECT}/global/networks/serving"
KEY = "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES", (0, 0, 0))
    monkeypatch.setattr(module, "POLLS", (0,))


@pytest.fixture
def live(vertex: VertexStandIn, models: SimpleNamespace, tmp_path: Path) -> Any:
    """Deploys a model with serving options; returns the endpoint as Vertex has it."""

    def live(cloud: Cloud = Cloud(), **options: Any) -> types.Endpoint:  # noqa: B008 (frozen)
        decision = decide(tmp_path / "d", models.one)
        text = (decision / "decision.json").read_text()
        (decision / "decision.json").write_text(text.replace('"one"', f'"{"one" * 20}"'))
        output = tmp_path / "out"
        deploy(models.one, decision, output, ENDPOINT, vertex.url, Options(**{"image": IMAGE, **options}), cloud)
        return resource(vertex)

    return live


def resource(vertex: VertexStandIn) -> types.Endpoint:
    return vertex.endpoints.resources.get(ENDPOINT)


def opened(vertex: VertexStandIn, address: str = "") -> VertexBackEnd:
    return VertexBackEnd(ENDPOINT, Hosting(access=Access(address=address)), vertex.url)


def exists(vertex: VertexStandIn, **fields: Any) -> types.Endpoint:
    """Someone else has made the endpoint."""
    request = types.CreateEndpointRequest(
        parent=PARENT, endpoint=types.Endpoint(display_name="en-de", **fields), endpoint_id="en-de"
    )
    vertex.endpoints.create_endpoint(request)
    return resource(vertex)


def test_a_new_endpoint_is_dedicated_and_asked_under_its_own_dns_name(
    vertex: VertexStandIn, live: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint = live()
    assert endpoint.dedicated_endpoint_enabled
    assert opened(vertex).predict(["a"]) == [{"text": "a by version 1", "score": 0.0}]
    assert "".join(opened(vertex).stream("a b", {"sampling": True})) == "a b by version 1"
    host = f"localhost:{vertex.endpoints.port}"
    address = f"http://{host}/v1/projects/{NUMBER}/locations/us-central1/endpoints/en-de:predict"
    assert main(["endpoint", "list", "--on", PARENT, "--api-endpoint", vertex.url, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["live"], row["url"]) == ("en-de", 1, address)
    assert main(["predict", "a b", "--stream", "--endpoint", ENDPOINT, "--api-endpoint", vertex.url]) == 0
    assert capsys.readouterr().out == "a b by version 1\n"


@pytest.mark.parametrize("kind", ["auto", "dedicated", "private", "shared"])
def test_the_container_takes_grpc_where_clients_reach_it(vertex: VertexStandIn, live: Any, kind: str) -> None:
    options = {"private_network": NETWORK} if kind == "private" else {}
    live(endpoint_type=kind, **options)
    (request,) = vertex.called("UploadModel")
    spec = request.model.container_spec
    port = [] if kind == "shared" else [8500]
    assert [one.container_port for one in spec.grpc_ports] == port
    assert [one.container_port for one in spec.ports] == [8080]
    assert list(spec.args) == [word for one in port for word in ("--grpc-port", str(one))]


def test_the_kind_of_an_existing_endpoint_decides_about_grpc(vertex: VertexStandIn, live: Any) -> None:
    exists(vertex)
    live()
    assert not vertex.called("UploadModel")[0].model.container_spec.grpc_ports


def test_a_container_without_grpc_fails_the_health_checks_of_its_grpc_port() -> None:
    spec = types.ModelContainerSpec(image_uri=IMAGE, grpc_ports=[{"container_port": 8500}])
    assert unhealthy(spec) == "nothing answers health checks on the gRPC port 8500"
    spec.args = ["--grpc-port", "8500"]
    assert not unhealthy(spec)


@pytest.mark.parametrize("dns", ["1.us-central1-2.prediction.vertexai.goog", "https://1.u-2.prediction.vertexai.goog"])
def test_a_dns_name_is_an_address_with_and_without_its_scheme(dns: str) -> None:
    endpoint = types.Endpoint(name=ENDPOINT, dedicated_endpoint_enabled=True, dedicated_endpoint_dns=dns)
    address = Predictions("us-central1", "psc.example.org", Access()).address(endpoint)
    assert address == f"https://{dns.removeprefix('https://')}/v1/{ENDPOINT}:predict"


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, "shared"),
        ({"dedicated_endpoint_enabled": True}, "dedicated"),
        ({"private_service_connect_config": {"enable_private_service_connect": True}}, "private"),
        ({"enable_private_service_connect": True}, "private"),
    ],
)
def test_the_kind_of_an_endpoint_is_read_from_its_fields(fields: dict[str, Any], kind: str) -> None:
    assert kind_of(types.Endpoint(name=ENDPOINT, **fields)) == kind


def test_a_shared_endpoint_is_asked_on_the_regions_domain_and_does_not_stream(vertex: VertexStandIn, live: Any) -> None:
    assert not live(endpoint_type="shared").dedicated_endpoint_enabled
    assert opened(vertex).predict(["a"], {"beam_size": 2})[0]["text"] == "a by version 1"
    assert opened(vertex).address().startswith("https://us-central1-aiplatform.googleapis.com/v1/")
    with pytest.raises(UserError, match=r"which does not support streaming; .* \(serving.endpoint_type\)"):
        list(opened(vertex).stream("a"))


def test_a_private_endpoint_is_asked_under_the_address_that_vertex_creates_in_the_network(
    vertex: VertexStandIn, live: Any
) -> None:
    endpoint = live(endpoint_type="private", private_network=NETWORK, private_projects=["other"])
    config = endpoint.private_service_connect_config
    assert list(config.project_allowlist) == [PROJECT, "other"]
    assert opened(vertex).address().startswith(f"http://127.1:{vertex.endpoints.port}/v1/")
    assert "".join(opened(vertex).stream("a b")) == "a b by version 1"


def test_the_address_of_a_private_endpoint_is_waited_for(
    vertex: VertexStandIn, live: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    attach, get, looks = stand_in.attach, vertex.endpoints.get_endpoint, iter(range(9))
    monkeypatch.setattr(stand_in, "attach", lambda endpoint, port: None)

    def get_endpoint(request: Any) -> types.Endpoint:
        endpoint = get(request)
        if endpoint.deployed_models and next(looks, 0) == 3:
            attach(endpoint, vertex.endpoints.port)
        return endpoint

    vertex.endpoints.get_endpoint = get_endpoint  # type: ignore[method-assign]
    assert list(live(endpoint_type="private", private_network=NETWORK).traffic_split.values()) == [100]


def test_a_private_endpoint_without_an_address_says_what_to_create(vertex: VertexStandIn, live: Any) -> None:
    with pytest.raises(UserError, match=r"create a forwarding rule to projects/tenant/.*/serviceAttachments/gkedpm-1"):
        live(endpoint_type="private")
    address = f"127.1:{vertex.endpoints.port}"
    live(endpoint_type="private", private_address=address)
    assert opened(vertex, address).predict(["a"])[0]["text"] == "a by version 1"
    assert opened(vertex).address() == resource(vertex).name
    before = len(vertex.calls)
    with pytest.raises(UserError, match="create a forwarding rule"):
        live(endpoint_type="private")
    assert {name for name, _ in vertex.calls[before:]} <= {"GetEndpoint", "ListModelVersions"}


def test_an_address_that_vertex_could_not_create_names_the_reason() -> None:
    automation = {"project_id": PROJECT, "network": NETWORK, "error_message": "no connection policy"}
    config = {"enable_private_service_connect": True, "psc_automation_configs": [automation]}
    endpoint = types.Endpoint(name=ENDPOINT, private_service_connect_config=config)
    predictions = Predictions("us-central1", "", Access())
    assert not predictions.awaits_address(endpoint)
    with pytest.raises(UserError, match="created no address for it: no connection policy"):
        predictions.address(endpoint)


def test_a_new_address_that_does_not_answer_at_once_is_asked_again(vertex: VertexStandIn, live: Any) -> None:
    for kind in ("lost request", "503", "429"):
        vertex.faults.add("Predict", kind)
    assert list(live().traffic_split.values()) == [100]


def test_an_address_that_never_answers_fails_the_deployment(vertex: VertexStandIn, live: Any) -> None:
    vertex.faults.add("Predict", "503", times=9)
    with pytest.raises(UserError, match="/endpoints/en-de does not respond: 503"):
        live()
    vertex.faults.waiting.clear()


def test_the_dns_name_of_a_dedicated_endpoint_is_waited_for(vertex: VertexStandIn, live: Any) -> None:
    get, looks = vertex.endpoints.get_endpoint, iter(range(9))

    def get_endpoint(request: Any) -> types.Endpoint:
        endpoint = types.Endpoint(get(request))
        if endpoint.deployed_models and next(looks, 9) < 3:
            endpoint.dedicated_endpoint_dns = ""
        return endpoint

    vertex.endpoints.get_endpoint = get_endpoint  # type: ignore[method-assign]
    assert list(live().traffic_split.values()) == [100]


def test_a_private_address_outside_of_its_network_says_so(vertex: VertexStandIn, live: Any) -> None:
    live(endpoint_type="private", private_network=NETWORK)
    vertex.faults.add("Predict", "lost request")
    with pytest.raises(UserError, match=r"does not respond: .*; only machines in its network reach it"):
        opened(vertex).predict(["a"])


def test_an_endpoint_of_a_peered_network_is_refused_before_anything_is_uploaded(
    vertex: VertexStandIn, live: Any
) -> None:
    exists(vertex, network="projects/1/global/networks/peered")
    with pytest.raises(UserError, match="is peered with projects/1/global/networks/peered, and Seqline cannot send"):
        live()
    assert vertex.called("UploadModel") == []


@pytest.mark.parametrize(
    ("fields", "options", "message"),
    [
        ({}, {"endpoint_type": "dedicated"}, "serving.endpoint_type: .* is a shared endpoint, and Vertex cannot"),
        ({}, {"endpoint_type": "private"}, "is a shared endpoint, and Vertex cannot change that to private"),
        ({}, {"request_timeout": 90}, "serving.request_timeout: .* is a shared endpoint, whose requests have"),
        (
            {"private_service_connect_config": {"enable_private_service_connect": True}},
            {"endpoint_type": "private", "private_network": NETWORK},
            "serving.private_network: .* has its address in no network",
        ),
        ({}, {"cloud": Cloud(encryption_key=KEY)}, "encryption_key: .* is encrypted with a key of Google, and Vertex"),
    ],
)
def test_what_vertex_cannot_change_is_an_error_before_anything_is_uploaded(
    vertex: VertexStandIn, live: Any, fields: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    exists(vertex, **fields)
    with pytest.raises(UserError, match=message):
        live(**options)
    assert vertex.called("UploadModel") == []


def test_an_existing_endpoint_keeps_its_type(vertex: VertexStandIn, live: Any) -> None:
    exists(vertex)
    assert not live().dedicated_endpoint_enabled
    assert opened(vertex).predict(["a"])[0]["text"] == "a by version 1"


def test_requests_are_logged_to_bigquery_also_by_an_existing_endpoint(vertex: VertexStandIn, live: Any) -> None:
    log = live(log_requests=0.1).predict_request_response_logging_config
    assert (log.enabled, log.sampling_rate, log.bigquery_destination.output_uri) == (True, 0.1, f"bq://{PROJECT}")
    # Vertex names the table that it creates.
    log.bigquery_destination.output_uri = f"bq://{PROJECT}.logging_en_de.request_response_logging"
    before = len(vertex.called("UpdateEndpoint"))
    live(log_requests=0.1)
    assert len(vertex.called("UpdateEndpoint")) == before
    live(log_requests=0.5)
    log = resource(vertex).predict_request_response_logging_config
    table = f"bq://{PROJECT}.logging_en_de.request_response_logging"
    assert (log.sampling_rate, log.bigquery_destination.output_uri) == (0.5, table)
    live(log_requests=0.5, log_table=f"bq://{PROJECT}.logs.mt")
    log = resource(vertex).predict_request_response_logging_config
    assert log.bigquery_destination.output_uri == f"bq://{PROJECT}.logs.mt"


@pytest.mark.parametrize("options", [{}, {"log_requests": 0.0}])
@pytest.mark.parametrize("new", [True, False])
def test_without_log_requests_the_log_that_it_has_started_ends(
    vertex: VertexStandIn, live: Any, options: dict[str, Any], new: bool
) -> None:
    if not new:
        exists(vertex, labels={"team": "mt"})
    assert live(log_requests=0.1).predict_request_response_logging_config.enabled
    assert not live(**options).predict_request_response_logging_config.enabled
    assert dict(resource(vertex).labels) == ({} if new else {"team": "mt"})
    before = len(vertex.called("UpdateEndpoint"))
    live(**options)
    assert len(vertex.called("UpdateEndpoint")) == before


def test_a_log_that_somebody_else_has_started_stays_until_log_requests_is_set_once(
    vertex: VertexStandIn, live: Any, caplog: pytest.LogCaptureFixture
) -> None:
    log = {"enabled": True, "sampling_rate": 0.1, "bigquery_destination": {"output_uri": "bq://p.logs.mt"}}
    exists(vertex, predict_request_response_logging_config=log)
    with caplog.at_level("INFO"):
        assert live().predict_request_response_logging_config.enabled
    assert (
        "logs its requests to bq://p.logs.mt, and Seqline does not stop this log, which it did not start" in caplog.text
    )
    assert live(log_requests=0.1).predict_request_response_logging_config.enabled
    assert not live().predict_request_response_logging_config.enabled


def test_the_time_limit_of_requests_is_set_once_and_changed_by_its_own_update(vertex: VertexStandIn, live: Any) -> None:
    for seconds, updates in ((1800, 0), (1800, 0), (3600, 1)):
        limit = live(request_timeout=seconds).client_connection_config.inference_timeout
        assert limit.total_seconds() == seconds
        assert len(vertex.called("UpdateEndpointLongRunning")) == updates
    live()
    assert resource(vertex).client_connection_config.inference_timeout.total_seconds() == 3600


def test_machines_are_those_of_the_options(vertex: VertexStandIn, live: Any) -> None:
    live(
        machine_type="g2-standard-8", accelerator_type="NVIDIA_L4", min_replicas=2, max_replicas=5,
        target_utilization=75, spot=True, image="eu-docker.pkg.dev/p/r/serve-gpu@sha256:1",
    )  # fmt: skip
    (request,) = vertex.called("DeployModel")
    resources = request.deployed_model.dedicated_resources
    machine = resources.machine_spec
    assert (machine.accelerator_type.name, machine.accelerator_count) == ("NVIDIA_L4", 1)
    assert (resources.min_replica_count, resources.max_replica_count, resources.spot) == (2, 5, True)
    metrics = {one.metric_name.rpartition("online/")[2]: one.target for one in resources.autoscaling_metric_specs}
    assert metrics == {"cpu/utilization": 75, "accelerator/duty_cycle": 75}


def test_key_and_labels_are_those_of_the_model_and_the_endpoint(vertex: VertexStandIn, live: Any) -> None:
    cloud = Cloud(encryption_key=KEY, labels={"team": "mt"})
    endpoint = live(cloud)
    (upload,) = vertex.called("UploadModel")
    for made in (endpoint, upload.model):
        assert made.encryption_spec.kms_key_name == KEY
        assert made.labels["team"] == "mt"
    live(Cloud(encryption_key=KEY, labels={"team": "nlp", "stage": "prod"}))
    assert dict(resource(vertex).labels) == {"team": "nlp", "stage": "prod"}


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({"endpoint_type": "shared"}, 1_572_864),
        ({"endpoint_type": "dedicated"}, 10_000_000),
        ({"endpoint_type": "private", "private_network": NETWORK}, 10_000_000),
    ],
)
def test_a_request_above_the_limit_of_its_endpoint_is_refused(
    vertex: VertexStandIn, live: Any, options: dict[str, Any], limit: int
) -> None:
    live(**options)
    vertex.endpoints.serve = lambda model, instances, parameters: [{"text": "ok"} for _ in instances]
    assert opened(vertex).predict(["x" * (limit - 1000)]) == [{"text": "ok"}]
    with pytest.raises(RefusedError, match=f"Request payload size exceeds the limit: {limit} bytes"):
        opened(vertex).predict(["x" * limit])


def test_predict_sends_what_is_too_large_together_in_smaller_requests_and_streams(
    vertex: VertexStandIn, live: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live(endpoint_type="shared")
    (tmp_path / "in.txt").write_text("\n".join(str(number) + "x" * 900_000 for number in range(3)))
    vertex.endpoints.serve = lambda model, instances, parameters: [{"text": one[:1], "score": 0.0} for one in instances]
    flags = ["--endpoint", ENDPOINT, "--api-endpoint", vertex.url]
    assert main(["predict", "--file", str(tmp_path / "in.txt"), *flags]) == 0
    assert capsys.readouterr().out == "0\n1\n2\n"
    assert main(["predict", "a", "--stream", *flags]) == 1
    assert "which does not support streaming" in capsys.readouterr().err


def test_commands_that_deploy_use_the_machines_key_and_labels_of_the_configuration(
    vertex: VertexStandIn, live: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(Cloud(encryption_key=KEY))
    flags = [ENDPOINT, "--api-endpoint", vertex.url]
    assert main(["endpoint", "stop", *flags]) == 0
    (tmp_path / "seqline.yaml").write_text(
        f"parameters: {{endpoint: {ENDPOINT}, serving: {{machine_type: n2-standard-8, max_replicas: 4}}}}\n"
        f"targets: {{vertex: {{project: {PROJECT}, location: us-central1, pipeline_root: gs://bucket/root, "
        f"encryption_key: {KEY}, labels: {{team: mt}}}}}}\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["endpoint", "start", *flags]) == 0
    resources = vertex.called("DeployModel")[-1].deployed_model.dedicated_resources
    assert (resources.machine_spec.machine_type, resources.max_replica_count) == ("n2-standard-8", 4)
    assert resource(vertex).labels["team"] == "mt"
