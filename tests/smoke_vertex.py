"""One real run of everything on Vertex AI, in a fresh project, which is torn down afterwards: `make smoke-vertex`.

    python -m tests.smoke_vertex --project fresh-project-123 [--location us-central1] [--dry-run]

It needs gcloud, Terraform, docker or buildah, and an owner of the project. Whatever fails, everything is torn down; a
project that already has models or endpoints is left alone. With --dry-run the commands are printed and nothing is done.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.smoke_steps import Step, perform

FOLDER = Path("build/smoke")
ACCOUNTS = ("runs", "dataflow", "serving", "trigger")


def configuration(project: str, location: str) -> dict[str, Any]:
    """The seqline.yaml of the run: preset demo on a v5e 1x1, Dataflow, a new endpoint, a schedule and a trigger."""
    account = {name: f"seqline-{name}@{project}.iam.gserviceaccount.com" for name in ACCOUNTS}
    data = f"gs://{project}-seqline-data/pairs/*.tsv"
    return {
        "target": "vertex",
        "parameters": {
            "data": data,
            "endpoint": f"projects/{project}/locations/{location}/endpoints/seqline-smoke",
            "corpus": {"vocabulary_size": 2000},
            "training": {"preset": "demo", "epochs": 7, "minutes": 20, "batch_tokens": 2048},
            "serving": {"machine_type": "n1-standard-4", "service_account": account["serving"]},
        },
        "targets": {
            "vertex": {
                "project": project,
                "location": location,
                "pipeline_root": f"gs://{project}-seqline-runs/runs",
                "repository": "seqline-templates",
                "service_account": account["runs"],
                "labels": {"purpose": "smoke"},
                "training": {"tpu": {"version": "v5e", "topology": "1x1"}, "timeout": 7200},
                "dataflow": {"max_workers": 2, "service_account": account["dataflow"]},
            }
        },
        # It never runs: that it is accepted, listed and deleted is what is tested.
        "schedules": {"smoke": {"cron": "0 3 1 1 *", "timezone": "Europe/Paris", "max_runs": 1}},
        "triggers": {"smoke": {"objects": data, "quiet_seconds": 60}},
    }


def steps(project: str, location: str) -> list[Step]:
    """The steps, in order.

    Args:
        project: The project's id.
        location: The region.
    """
    where = f"--project={project} --region={location}"
    state = f"-state=../{FOLDER}/{project}.tfstate"
    variables = f"-var project={project} -var location={location} -var deletable=true"
    repository = f"{location}-docker.pkg.dev/{project}/seqline-images"
    files = f"--config {FOLDER}/seqline.yaml --config {FOLDER}/images.yaml"
    data = f"gs://{project}-seqline-data/pairs"
    list_of = f"gcloud ai {{}} list {where} --format='value(name)'"
    endpoint = f"projects/{project}/locations/{location}/endpoints/seqline-smoke"
    models, endpoints = list_of.format("models"), list_of.format("endpoints")
    runs = f"seqline runs list --limit 50 --json {files}"
    return [
        Step("the project exists", f"gcloud projects describe {project}"),
        Step("Terraform starts", "terraform -chdir=terraform init -input=false"),
        Step(
            "Terraform makes APIs, buckets, repositories, accounts, roles and alerts",
            f"terraform -chdir=terraform apply -input=false -auto-approve {state} {variables}",
            f"terraform -chdir=terraform destroy -input=false -auto-approve {state} {variables}",
        ),
        # Everything below is deleted at the end, so nothing else may be there.
        Step("the project is fresh", f'test -z "$({models})$({endpoints})"'),
        Step(
            "images are built and pushed",
            f"gcloud auth configure-docker {location}-docker.pkg.dev --quiet && "
            f"seqline images build --push --repository {repository} --digests {FOLDER}/images.yaml",
        ),
        Step(
            "the sample is in the bucket",
            f"seqline sample {FOLDER}/sample.tsv && gcloud storage cp {FOLDER}/sample.tsv {data}/sample.tsv",
        ),
        Step("the configuration is right", f"seqline check {files}"),
        Step("every role is there", f"seqline doctor --target vertex {files}"),
        Step("what it will cost", f"seqline run --estimate {files}"),
        Step(
            "a run: Dataflow, a v5e 1x1, a dedicated endpoint",
            f"seqline run {files}",
            # Registered before the run, which may fail with a model deployed.
            f"for endpoint in $({endpoints}); do for model in $("
            f"gcloud ai endpoints describe $endpoint {where} --format='value(deployedModels.id)' | tr ';' ' '); do "
            f"gcloud ai endpoints undeploy-model $endpoint {where} --deployed-model-id=$model --quiet; done; "
            f"gcloud ai endpoints delete $endpoint {where} --quiet; done; "
            f"for model in $({models}); do gcloud ai models delete $model {where} --quiet; done",
        ),
        Step(
            "the endpoint answers",
            f"seqline predict 'January 5, 2021' --endpoint {endpoint}",
        ),
        Step("the endpoint answers over gRPC", f"python -m tests.smoke_grpc {endpoint} 'January 5, 2021'"),
        Step("a run on unchanged data comes from the cache", f"seqline run {files}"),
        Step(
            "one trial of tuning",
            f"seqline run --pipeline tuning {files} --set tuning.trials=1 --set data='{data}/*.tsv'",
        ),
        Step(
            "a schedule is accepted, and unchanged the second time",
            f"seqline schedule apply {files} && seqline schedule apply {files} && seqline schedule list {files}",
            f"seqline schedule delete smoke {files}",
        ),
        Step(
            "a trigger is accepted, and unchanged the second time",
            f"seqline trigger apply {files} && seqline trigger apply {files} && seqline trigger list {files}",
            f"seqline trigger delete smoke {files}",
        ),
        Step(
            "new data starts one run, and only one",
            f"gcloud storage cp {FOLDER}/sample.tsv {data}/more.tsv && for wait in $(seq 60); do sleep 30; "
            f'count=$({runs} | grep -c \'"id": "smoke-\' || true); if [ "$count" -gt 0 ]; then break; fi; done; '
            f'sleep 120; test "$({runs} | grep -c \'"id": "smoke-\')" = 1',
            # A cancelled run is over at once; its tasks are over some minutes later.
            f"for run in $({runs} | python -c 'import json, sys; "
            'print(*(one["id"] for one in json.load(sys.stdin) if one["state"] in ("pending", "running")))\'); do '
            f"seqline runs cancel $run --yes {files}; done; sleep 300",
        ),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", required=True, help="A fresh project, all of whose Vertex resources are deleted.")
    parser.add_argument("--location", default="us-central1", help="A region with v5e.")
    parser.add_argument("--dry-run", action="store_true", help="Print the commands, and do nothing.")
    given = parser.parse_args(arguments)
    if not given.project:
        parser.error("--project is empty; `make smoke-vertex PROJECT=fresh-project-123`")
    planned = steps(given.project, given.location)
    return perform(planned, FOLDER, configuration(given.project, given.location), given.dry_run)


if __name__ == "__main__":
    sys.exit(main())
