"""One real run of everything on a Kubeflow cluster, torn down afterwards: `make smoke-kubeflow HOST=...`.

    python -m tests.smoke_kubeflow --host http://localhost:3000 [--namespace kubeflow] [--repository REGISTRY/seqline]
        [--endpoint kserve://NAMESPACE/NAME] [--dry-run]

It needs kubectl with the cluster as its context, docker or buildah, KFP, KServe and a registry that the cluster pulls
from. All objects are called seqline-smoke; where one of that name is already there, nothing begins. With --dry-run the
commands are printed and nothing is done. A server that requires a login gets the token in SEQLINE_SMOKE_TOKEN_FILE.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.smoke_steps import Step, perform

FOLDER = Path("build/smoke-kubeflow")
NAME = "seqline-smoke"
REGISTRY = "localhost:5001/seqline"
"""The registry that kind's documentation sets up: https://kind.sigs.k8s.io/docs/user/local-registry."""
CLAIM = f"""apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {NAME}}}
spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 2Gi}}}}}}
"""
STORAGE = "seaweedfs.kubeflow:9000"
"""The object store that comes with KFP since 2.16; before, it was minio-service.kubeflow:9000."""
RIGHTS = f"""apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: {NAME}}}
rules:
  - {{apiGroups: [serving.kserve.io], resources: [inferenceservices], verbs: [get, watch, create, update, delete]}}
  - {{apiGroups: [""], resources: [configmaps], verbs: [get, list, create, update]}}
  - {{apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, create, update]}}
  - {{apiGroups: [apps], resources: [deployments], verbs: [get, watch]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: {NAME}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {NAME}}}
subjects:
  - {{kind: ServiceAccount, name: pipeline-runner}}
  - {{kind: ServiceAccount, name: default-editor}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {NAME}}}
secrets: [{{name: {NAME}}}]
"""
"""What deploy needs in the endpoint's namespace (docs/kserve.md), and the account of the model server."""
PREPARE = (
    '{"spec": {"restartPolicy": "Never", "containers": [{"name": "prepare", "image": "busybox:1.37", '
    '"command": ["chmod", "0777", "/claim"], "volumeMounts": [{"name": "claim", "mountPath": "/claim"}]}], '
    f'"volumes": [{{"name": "claim", "persistentVolumeClaim": {{"claimName": "{NAME}"}}}}]}}}}'
)
"""A pod of root that lets every user write in the claim: KFP sets no group of a pod's volumes (fsGroup)."""
KILL = (
    "import os, signal; own = os.getpid(); [os.kill(int(one), signal.SIGKILL) for one in os.listdir('/proc') "
    "if one.isdigit() and int(one) not in (1, own)]"
)
"""Kills all processes of a container but its first one, Argo's, which then reports a failure."""

STATE = "import json, sys; print(json.load(sys.stdin)['state'])"


def configuration(host: str, namespace: str, repository: str) -> dict[str, Any]:
    """The seqline.yaml of the run: preset demo on CPUs, the sample in a config map, checkpoints in a claim."""
    token = os.environ.get("SEQLINE_SMOKE_TOKEN_FILE", "")
    return {
        "target": "kubeflow",
        "images": {"repository": repository},
        "parameters": {
            "data": "/sample/sample.tsv.gz",
            "corpus": {"vocabulary_size": 2000},
            "training": {"preset": "demo", "epochs": 7, "minutes": 20, "batch_tokens": 2048},
            "serving": {"service_account": NAME},
        },
        "resources": {"train": {"cpu": 2, "memory": "6G", "retries": 2}},
        "targets": {
            "kubeflow": {
                "host": host,
                "namespace": namespace,
                "experiment": NAME,
                **({"login": {"token_file": token}} if token else {}),
                "pods": {
                    "default": {"labels": {"purpose": NAME}},
                    "snapshot": {"config_map_volumes": {"/sample": NAME}},
                    "tokenize": {"config_map_volumes": {"/sample": NAME}},
                    "train": {"claims": {"/checkpoints": NAME}, "active_deadline_seconds": 7200},
                },
                "parameters": {"checkpoints": "/checkpoints"},
            }
        },
        # It never runs: that it is accepted, listed and deleted is what is tested.
        "schedules": {NAME: {"cron": "0 3 1 1 *", "target": "kubeflow"}},
    }


def steps(host: str, namespace: str, repository: str, endpoint: str) -> list[Step]:
    """The steps, in order.

    Args:
        host: The address of KFP's API.
        namespace: The namespace of the runs.
        repository: The images' repository.
        endpoint: The endpoint, kserve://NAMESPACE/NAME; empty for none.
    """
    kubectl = f"kubectl --namespace {namespace}"
    files = f"--config {FOLDER}/seqline.yaml --config {FOLDER}/images.yaml"
    run = f"seqline run {files}" + (f" --endpoint {endpoint}" if endpoint else "")
    owner, _, service = endpoint.removeprefix("kserve://").partition("/")
    serving, found_service = f"kubectl --namespace {owner}", f"inferenceservice {service} --ignore-not-found"
    planned = [
        Step("the namespace exists", f"kubectl get namespace {namespace}"),
        Step(
            "nothing of this name is there",
            f'test -z "$({kubectl} get configmap,persistentvolumeclaim {NAME} --ignore-not-found --output name)"'
            + (f' && test -z "$({serving} get {found_service} --output name)"' if endpoint else ""),
        ),
        Step(
            "images are built and pushed",
            f"seqline images build --push --repository {repository} --digests {FOLDER}/images.yaml",
        ),
        Step(
            "the sample is in the cluster",
            f"seqline sample {FOLDER}/sample.tsv && gzip --force {FOLDER}/sample.tsv && "
            f"{kubectl} create configmap {NAME} --from-file {FOLDER}/sample.tsv.gz",
            f"{kubectl} delete configmap {NAME} --ignore-not-found",
        ),
        Step(
            "a claim for checkpoints is there",
            f"{kubectl} apply --filename - <<'CLAIM'\n{CLAIM}CLAIM\n"
            f"{kubectl} run {NAME} --image busybox:1.37 --restart Never --overrides '{PREPARE}' && "
            f"{kubectl} wait pod/{NAME} --for jsonpath='{{.status.phase}}'=Succeeded --timeout 5m && "
            f"{kubectl} delete pod {NAME}",
            f"{kubectl} delete pod,persistentvolumeclaim {NAME} --ignore-not-found",
        ),
        Step("the configuration is right", f"seqline check --target kubeflow {files}"),
        Step("the server has what is needed", f"seqline doctor --target kubeflow {files}"),
        Step(
            "an upload is one version, also the second time",
            f'test "$(seqline upload {files} | sed -n 1p)" = "$(seqline upload {files} | sed -n 1p)"',
        ),
        *(_rights(serving, namespace) if endpoint else []),
        Step(
            "a run",
            run,
            # Made by the run, which may fail later.
            f"{serving} delete inferenceservice {service} {service}-candidate --ignore-not-found; "
            f"{serving} delete configmap,lease {service}-seqline --ignore-not-found"
            if endpoint
            else "",
        ),
    ]
    if endpoint:
        # Its own name may resolve in the cluster only.
        planned.append(
            Step(
                "the endpoint answers",
                f"{serving} port-forward service/{service}-predictor 8081:80 & trap 'kill %1' EXIT; sleep 10; "
                f"seqline predict 'January 5, 2021' --endpoint {endpoint} --address http://127.0.0.1:8081",
            )
        )
    return [
        *planned,
        Step("a run on unchanged data comes from the cache", run),
        Step(
            "training whose container is killed continues from its checkpoint",
            # Other options: neither the cache nor the finished state of the first run may answer.
            f"run=$({run} --set training.learning_rate=0.002 --no-watch | sed -n '1s/:.*//p'); "
            f"echo $run > {FOLDER}/run; for wait in $(seq 60); do sleep 10; "
            f"pod=$({kubectl} get pods --selector pipeline/runid=$run --field-selector status.phase=Running "
            "--output name | grep container-impl | sed -n 1p || true); "
            f"if [ -n \"$pod\" ] && {kubectl} exec $pod --container main -- sh -c 'ls /checkpoints/*/state-*.npz'; "
            f'then {kubectl} exec $pod --container main -- python -c "{KILL}"; break; fi; done; '
            "for wait in $(seq 120); do sleep 15; "
            f'state=$(seqline runs describe $run --json {files} | python -c "{STATE}"); '
            "case $state in succeeded) exit 0;; failed|cancelled) exit 1;; esac; done; exit 1",
            f"test ! -f {FOLDER}/run || seqline runs cancel $(cat {FOLDER}/run) --yes {files}",
        ),
        Step(
            "a schedule is accepted, and unchanged the second time",
            f"seqline schedule apply {files} && seqline schedule apply {files} && seqline schedule list {files}",
            f"seqline schedule delete {NAME} {files}",
        ),
    ]


def _rights(serving: str, namespace: str) -> list[Step]:
    """The step that lets pods deploy, and the model server read what they wrote."""
    secret = f"kubectl --namespace {namespace} get secret mlpipeline-minio-artifact --output jsonpath="
    user, password = (f"$({secret}'{{.data.{key}}}' | base64 -d)" for key in ("accesskey", "secretkey"))
    return [
        Step(
            "pods may deploy, and the model server may read",
            f"{serving} apply --filename - <<'RIGHTS'\n{RIGHTS}RIGHTS\n"
            f'{serving} create secret generic {NAME} --from-literal AWS_ACCESS_KEY_ID="{user}" '
            f'--from-literal AWS_SECRET_ACCESS_KEY="{password}" && '
            f"{serving} annotate secret {NAME} serving.kserve.io/s3-endpoint={STORAGE} serving.kserve.io/s3-usehttps=0 "
            "serving.kserve.io/s3-region=us-east-1",
            f"{serving} delete role,rolebinding,serviceaccount,secret {NAME} --ignore-not-found",
        )
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", required=True, help="Address of KFP's API, such as http://localhost:3000.")
    parser.add_argument("--namespace", default="kubeflow", help="Namespace of the runs.")
    parser.add_argument("--repository", default=REGISTRY, help="Repository that the cluster pulls images from.")
    parser.add_argument("--endpoint", help="Endpoint, or empty for none; by default one on KServe in the namespace.")
    parser.add_argument("--dry-run", action="store_true", help="Print the commands, and do nothing.")
    given = parser.parse_args(arguments)
    if not given.host:
        parser.error("--host is empty; `make smoke-kubeflow HOST=http://localhost:3000`")
    endpoint = f"kserve://{given.namespace}/{NAME}" if given.endpoint is None else given.endpoint
    planned = steps(given.host, given.namespace, given.repository, endpoint)
    return perform(planned, FOLDER, configuration(given.host, given.namespace, given.repository), given.dry_run)


if __name__ == "__main__":
    sys.exit(main())
