"""`seqline doctor --target vertex`: each identity's roles, asked of a stand-in of Google Cloud's IAM."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.auth.exceptions import DefaultCredentialsError

from seqline.cli import main
from seqline.configuration import Configuration
from seqline.targets.vertex.connection import Connection
from seqline.targets.vertex.permissions import Answer, Permissions, setting_of
from seqline.targets.vertex.roles import AGENTS, grants, role_of
from tests.stand_ins.iam import CALLER, IamStandIn

ACCOUNTS = {
    name: f"seqline-{name}@my-project.iam.gserviceaccount.com" for name in ("runs", "dataflow", "serving", "trigger")
}
REPOSITORY = "projects/my-project/locations/us-central1/repositories"
RESOURCES = {
    "project": "projects/my-project",
    "bucket": "a-bucket",
    "data": "data-bucket",
    "images": f"{REPOSITORY}/seqline-images",
    "templates": f"{REPOSITORY}/seqline-templates",
    "secret": "projects/my-project/secrets/hook",
    "log": "projects/my-project/datasets/mt/tables/requests",
    **ACCOUNTS,
}


@pytest.fixture
def iam() -> Iterator[IamStandIn]:
    with IamStandIn.running() as running:
        running.resources = set(RESOURCES.values())
        running.impersonable = set(ACCOUNTS.values())
        yield running


def content(iam: IamStandIn) -> dict[str, Any]:
    """A configuration that needs every role but those of BigQuery."""
    return {
        "target": "vertex",
        "images": {"repository": "us-central1-docker.pkg.dev/my-project/seqline-images"},
        "parameters": {
            "data": "gs://data-bucket/pairs/*.tsv",
            "serving": {
                "service_account": ACCOUNTS["serving"],
                "log_requests": 0.1,
                "log_table": "bq://my-project.mt.requests",
            },
            "notification": {"webhooks": ["projects/my-project/secrets/hook/versions/3"]},
        },
        "targets": {
            "vertex": {
                "project": "my-project",
                "location": "us-central1",
                "pipeline_root": "gs://a-bucket/runs",
                "repository": "seqline-templates",
                "service_account": ACCOUNTS["runs"],
                "dataflow": {"service_account": ACCOUNTS["dataflow"]},
                "api_endpoint": iam.url,
            }
        },
        "schedules": {
            "watch": {
                "cron": "0 6 * * *",
                "pipeline": "monitoring",
                "parameters": {"endpoint": "projects/p/e", "monitoring": {"cloud_monitoring": True}},
            }
        },
        "triggers": {"new-pairs": {"objects": "gs://data-bucket/pairs/*.tsv"}},
    }


def answers(iam: IamStandIn, **changes: Any) -> list[Answer]:
    configuration = Configuration.model_validate({**content(iam), **changes})
    assert configuration.targets.vertex
    connection = Connection(configuration.targets.vertex, sleep=lambda seconds: None)
    return list(Permissions(connection, setting_of(configuration)).answers())


def identity_of(name: str) -> str:
    return ACCOUNTS.get(name, CALLER)


ASKED = [grant for grant in grants() if grant.identity not in AGENTS and grant.needs != "bigquery"]
ALL_PARTS = {"dataflow", "triggers", "webhook", "monitoring", "cloud-monitoring"}
KEY = "projects/keys/locations/us-central1/keyRings/r/cryptoKeys/k"


def test_a_project_with_every_role_has_no_error(iam: IamStandIn) -> None:
    found = answers(iam)
    assert [(one.identity, one.state) for one in found] == [
        ("runs", "ok"),
        ("dataflow", "ok"),
        ("serving", "ok"),
        ("schedule", "ok"),
        ("trigger", "ok"),
        ("storage-agent", "unknown"),
    ]
    assert found[-1].message == (
        "cannot be checked: it is Cloud Storage's own account, as which only Google can act; it needs "
        "roles/pubsub.publisher on project my-project"
    )
    assert "Cloud Storage publishes no events" in found[-1].advice
    asked = {(identity, resource, tuple(permissions)) for identity, resource, permissions in iam.asked}
    assert asked == {(identity_of(one.identity), RESOURCES[one.resource], one.permissions) for one in ASKED}


@pytest.mark.parametrize("grant", ASKED, ids=lambda one: f"{one.identity} {one.role[6:]} {one.resource}")
def test_each_missing_role_is_named_with_what_fails(iam: IamStandIn, grant: Any) -> None:
    # A resource may get the same permission by another role of the same identity.
    own = [one for one in ASKED if (one.identity, one.resource) == (grant.identity, grant.resource)]
    without = [one for one in grant.permissions if sum(one in other.permissions for other in own) == 1]
    iam.without = {(identity_of(grant.identity), RESOURCES[grant.resource], one) for one in without}
    (missing,) = [one for one in answers(iam) if one.state == "missing"]
    assert missing.identity == grant.identity
    assert missing.message.startswith(f"{grant.role} on ")
    assert all(one in missing.message for one in without)
    assert grant.fails in missing.advice
    if grant.resource == "log":
        assert "the dataset my-project.mt grants it, or terraform/ does (log_dataset)" in missing.advice
        return
    assert f"--role={grant.role}" in missing.advice
    assert RESOURCES[grant.resource].removeprefix("projects/") in missing.advice


def test_an_account_that_the_caller_may_not_act_as_is_not_called_fine(iam: IamStandIn) -> None:
    iam.impersonable = set()
    found = {one.identity: one for one in answers(iam)}
    assert found["schedule"].state == "ok"
    assert found["runs"].state == "unknown"
    assert found["runs"].advice == f"grant this caller roles/iam.serviceAccountTokenCreator on {ACCOUNTS['runs']}"
    assert "iam.serviceAccounts.getAccessToken" in found["runs"].message


def test_a_resource_that_does_not_exist_is_named_and_the_others_are_asked_for(iam: IamStandIn) -> None:
    iam.resources -= {"data-bucket"}
    iam.without = {(ACCOUNTS["runs"], RESOURCES["project"], "dataflow.jobs.create")}
    found = [one for one in answers(iam) if one.identity == "runs"]
    assert [one.state for one in found] == ["missing", "unknown"]
    assert "data-bucket was not found" in found[1].message


def test_only_what_the_configuration_needs_is_asked_for(iam: IamStandIn) -> None:
    vertex = {**content(iam)["targets"]["vertex"], "dataflow": None, "service_account": ""}
    found = answers(iam, triggers={}, schedules={}, parameters={}, targets={"vertex": vertex})
    assert [(one.identity, one.state) for one in found] == [
        ("runs", "unknown"),
        ("serving", "unknown"),
        ("schedule", "ok"),
    ]
    assert found[0].message == "targets.vertex.service_account is not set: the project's default account is used"
    assert not any("workflows." in one for _, _, asked in iam.asked for one in asked)


def test_the_service_agents_that_need_the_key_are_named_with_the_command_that_grants_it(iam: IamStandIn) -> None:
    vertex = {**content(iam)["targets"]["vertex"], "encryption_key": KEY}
    agents = [one for one in answers(iam, targets={"vertex": vertex}) if KEY in one.advice]
    assert [(one.identity, one.state) for one in agents] == [
        (name, "unknown")
        for name in ("storage-agent", "registry-agent", "vertex-agent", "dataflow-agent", "compute-agent")
    ]
    assert agents[2].account == "service-PROJECT_NUMBER@gcp-sa-aiplatform.iam.gserviceaccount.com"
    assert agents[2].advice == (
        "without it `seqline run` is refused, and so are jobs, models and endpoints; `gcloud kms keys "
        f'add-iam-policy-binding {KEY} --member="serviceAccount:service-$(gcloud projects describe my-project '
        "--format='value(projectNumber)')@gcp-sa-aiplatform.iam.gserviceaccount.com\" "
        "--role=roles/cloudkms.cryptoKeyEncrypterDecrypter`"
    )
    without = answers(iam, targets={"vertex": {**vertex, "dataflow": None}})
    assert {one.identity for one in without if KEY in one.advice} == {"storage-agent", "vertex-agent", "registry-agent"}


@pytest.mark.parametrize(
    ("table", "asked"), [("bq://logs.mt.requests", True), ("bq://my-project.mt.requests", False), ("", False)]
)
def test_a_log_of_requests_in_another_project_needs_a_role_there(iam: IamStandIn, table: str, asked: bool) -> None:
    parameters = {"serving": {"log_requests": 0.1, "log_table": table}}
    found = [one for one in answers(iam, parameters=parameters, schedules={}) if one.identity == "vertex-agent"]
    assert len(found) == asked
    for one in found:
        assert "it needs roles/bigquery.dataEditor on dataset logs.mt" in one.message
        assert one.advice.endswith("whoever owns the dataset logs.mt grants it, or terraform/ does (log_dataset)")


@pytest.mark.parametrize(
    ("monitoring", "parts", "asked"),
    [
        ({}, {"monitoring"}, "projects/my-project/datasets/mt/tables/requests"),
        ({"cloud_monitoring": True}, {"monitoring", "cloud-monitoring"}, RESOURCES["log"]),
        ({"requests": "bq://logs.d"}, {"monitoring"}, "projects/logs/datasets/d/tables/request_response_logging"),
        ({"requests": "gs://samples/translate"}, set(), RESOURCES["log"]),
    ],
)
@pytest.mark.parametrize("scheduled", [False, True])
def test_monitoring_needs_roles_for_what_it_reads_and_writes(
    iam: IamStandIn, monitoring: dict[str, Any], parts: set[str], asked: str, scheduled: bool
) -> None:
    parameters = {"monitoring": monitoring, "retraining": {"parameters": {"data": "gs://new-pairs/*.tsv"}}}
    own = content(iam)
    if scheduled:
        own["schedules"]["watch"]["parameters"] = parameters
    else:
        own = {**own, "schedules": {}, "pipeline": "monitoring", "parameters": {**own["parameters"], **parameters}}
    found = setting_of(Configuration.model_validate(own))
    assert found.needs - {"dataflow", "triggers", "webhook"} == parts
    assert found.resources["log"] == [asked]
    assert "new-pairs" in found.resources["data"]


def test_a_log_in_a_dataset_that_vertex_names_itself_is_not_called_fine(iam: IamStandIn) -> None:
    parameters = {**content(iam)["parameters"], "serving": {"log_requests": 0.1}}
    (found,) = [one for one in answers(iam, parameters=parameters) if one.identity == "runs"]
    assert found.state == "unknown"
    assert found.message == (
        "roles/bigquery.dataViewer on the log of requests cannot be asked for: serving.log_table and "
        "monitoring.requests are empty, and Vertex AI names a new dataset itself"
    )


@pytest.mark.parametrize(
    ("data", "needs"),
    [
        ("SELECT source, target FROM d.t", {*ALL_PARTS, "bigquery"}),
        ("gs://b/x", ALL_PARTS),
    ],
)
def test_a_query_needs_the_roles_of_bigquery(iam: IamStandIn, data: str, needs: set[str]) -> None:
    parameters = {**content(iam)["parameters"], "data": data}
    assert setting_of(Configuration.model_validate({**content(iam), "parameters": parameters})).needs == needs


def test_doctor_prints_what_is_missing_and_fails(
    iam: IamStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("seqline.yaml").write_text(json.dumps(content(iam)))
    iam.without = {(CALLER, RESOURCES["runs"], "iam.serviceAccounts.actAs")}
    monkeypatch.setattr("seqline.targets.vertex.target.Vertex.check", lambda self: [])
    assert main(["doctor", "--target", "vertex", "--json"]) == 1
    found = [
        one for one in json.loads(capsys.readouterr().out) if one["state"] == "error" and "roles" in one["subject"]
    ]
    assert [one["subject"] for one in found] == ["roles of schedule"]
    assert found[0]["message"] == (
        f"roles/iam.serviceAccountUser on service account {ACCOUNTS['runs']} is missing (iam.serviceAccounts.actAs)"
    )
    asked = len(iam.asked)
    main(["doctor", "--target", "vertex", "--offline", "--json"])
    assert len(iam.asked) == asked


def test_doctor_prints_commands_that_can_be_copied(
    iam: IamStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    Path("seqline.yaml").write_text(json.dumps(content(iam)))
    iam.without = {(CALLER, RESOURCES["runs"], "iam.serviceAccounts.actAs")}
    monkeypatch.setattr("seqline.targets.vertex.target.Vertex.check", lambda self: [])
    assert main(["doctor", "--target", "vertex"]) == 1
    lines = capsys.readouterr().out.splitlines()
    (number,) = [index for index, line in enumerate(lines) if line.startswith("✗ roles of schedule")]
    assert lines[number + 1].endswith(
        f"`gcloud iam service-accounts add-iam-policy-binding {ACCOUNTS['runs']} --member=MEMBER "
        "--role=roles/iam.serviceAccountUser`"
    )


def test_doctor_says_once_that_there_are_no_credentials(
    iam: IamStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def default(**options: Any) -> Any:
        raise DefaultCredentialsError("none")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("google.auth.default", default)
    monkeypatch.setattr("seqline.targets.vertex.target.Vertex.check", lambda self: [])
    vertex = {**content(iam)["targets"]["vertex"], "api_endpoint": ""}
    Path("seqline.yaml").write_text(json.dumps({**content(iam), "targets": {"vertex": vertex}}))
    main(["doctor", "--target", "vertex", "--json"])
    found = [one for one in json.loads(capsys.readouterr().out) if one["subject"].startswith("roles")]
    assert [(one["subject"], one["state"]) for one in found] == [("roles", "warning")]
    assert found[0]["message"].startswith("cannot be checked: there are no Google Cloud credentials")


@pytest.mark.parametrize(
    ("message", "role", "resource"),
    [
        (
            "Permission 'aiplatform.pipelineJobs.create' denied on resource '//aiplatform...'",
            "roles/aiplatform.user",
            "project",
        ),
        (
            'Permission "artifactregistry.repositories.uploadArtifacts" denied on r',
            "roles/artifactregistry.writer",
            "images",
        ),
        ("caller does not have storage.objects.get access to the object", "roles/storage.objectUser", "bucket"),
        ("Permission 'logging.logEntries.list' denied", "roles/logging.viewer", "project"),
        (
            "You do not have permission to act as service_account: iam.serviceAccounts.actAs",
            "roles/iam.serviceAccountUser",
            "runs",
        ),
        ("Permission 'workflows.workflows.get' denied", "roles/workflows.editor", "project"),
        ("Permission monitoring.timeSeries.create denied", "roles/monitoring.metricWriter", "project"),
        ("User does not have bigquery.jobs.create permission in project p", "roles/bigquery.jobUser", "project"),
        (
            "Permission 'iam.serviceAccounts.getAccessToken' denied on resource",
            "roles/iam.serviceAccountTokenCreator",
            "runs",
        ),
        (
            "Permission 'cloudkms.cryptoKeyVersions.useToEncrypt' denied on resource",
            "roles/cloudkms.cryptoKeyEncrypterDecrypter",
            "key",
        ),
        # A service agent's, which the caller does not need.
        ("Permission 'pubsub.topics.publish' denied on resource", "", ""),
        ("Permission 'aiplatform.tensorboards.create' denied", "roles/aiplatform.user", "project"),
        # An administrator's permissions belong to none of these roles.
        ("Permission 'artifactregistry.repositories.create' denied", "", ""),
        ("Permission 'storage.buckets.create' denied", "", ""),
        ("The caller does not have permission", "", ""),
        ("see cloud.google.com/iam for more", "", ""),
    ],
)
def test_the_role_of_a_denied_permission_is_named(message: str, role: str, resource: str) -> None:
    assert role_of(message) == (role, resource)
