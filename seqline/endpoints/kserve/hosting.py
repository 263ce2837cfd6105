"""How KServe hosts an endpoint's versions: the predictor of an InferenceService.

Sources, in github.com/kserve/kserve: pkg/apis/serving/v1beta1/{predictor,component,predictor_custom}.go for the fields;
pkg/webhook/admission/pod/storage_initializer_injector.go for the model, which an init container writes to /mnt/models
for the container named kserve-container with the variable STORAGE_URI.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from seqline.endpoints.kserve.cluster import INFERENCE_SERVICE, Object
from seqline.endpoints.sampling import Sampling

Mode = Literal["standard", "serverless"]

# The names before KServe 0.16, which later versions read too (inference_service_defaults.go): "Standard", "Knative".
MODES = {"standard": "RawDeployment", "serverless": "Serverless"}
# Of the predictor, and so of each Knative revision and of each Deployment's pods: the version that it serves.
VERSION = "seqline-version"
CONTAINER, MODELS, PORT = "kserve-container", "/mnt/models", 8080
GPU = "nvidia.com/gpu"
# What Seqline sets, and removes where an option is not set any more.
OF_PREDICTOR = {"minReplicas", "maxReplicas", "serviceAccountName", "timeout", "scaleMetric", "scaleTarget"}
OF_CONTAINER = {"image", "args", "env", "ports", "readinessProbe", "resources"}


@dataclass(frozen=True)
class Hosting:
    """How KServe runs the model server.

    Attributes:
        image: The serving image, by digest.
        mode: standard (a Deployment) or serverless (Knative).
        cpu: CPUs of each replica, such as "2" or "500m"; empty for the cluster's default.
        memory: Memory of each replica, such as "4Gi"; empty for the cluster's default.
        gpus: Number of GPUs of each replica.
        min_replicas: Number of replicas, at least; 0 only serverless.
        max_replicas: Number of replicas, at most.
        scale_metric: What replicas are added by: cpu, memory, concurrency or rps; empty for the mode's default.
        scale_target: The metric's target for each replica; 0 for the default.
        service_account: Kubernetes service account of the pods, which may read the model.
        timeout: Time limit of a request in seconds; 0 for the cluster's own.
        gateway: Address of the ingress gateway, such as http://10.0.0.1; empty for the endpoint's own address.
        sampling: What the server samples of its requests.
    """

    image: str = ""
    mode: Mode = "standard"
    cpu: str = ""
    memory: str = ""
    gpus: int = 0
    min_replicas: int = 1
    max_replicas: int = 1
    scale_metric: str = ""
    scale_target: int = 0
    service_account: str = ""
    timeout: int = 0
    gateway: str = ""
    sampling: Sampling = field(default_factory=Sampling)

    def predictor(self, name: str, version: int, model: str) -> Object:
        """Returns the predictor of a version.

        Args:
            name: The endpoint's name, which is the model's name in addresses.
            version: The version's number.
            model: The model's address.
        """
        predictor: Object = {
            "annotations": {VERSION: str(version)},
            "minReplicas": self.min_replicas,
            "maxReplicas": self.max_replicas,
            "containers": [self._container(name, version, model)],
        }
        if self.service_account:
            predictor["serviceAccountName"] = self.service_account
        if self.timeout:
            predictor["timeout"] = self.timeout
        if self.max_replicas > self.min_replicas:
            if self.scale_metric:
                predictor["scaleMetric"] = self.scale_metric
            if self.scale_target:
                predictor["scaleTarget"] = self.scale_target
        return predictor

    def _container(self, name: str, version: int, model: str) -> Object:
        amounts: Object = {"cpu": self.cpu, "memory": self.memory, GPU: str(self.gpus) if self.gpus else ""}
        resources = {key: value for key, value in amounts.items() if value}
        return {
            "name": CONTAINER,
            "image": self.image,
            "args": [
                *("--model", MODELS, "--name", name, "--version", str(version), "--host", "0.0.0.0"),  # noqa: S104
                *self.sampling.flags,
            ],
            "env": [{"name": "STORAGE_URI", "value": model}],
            "ports": [{"containerPort": PORT, "protocol": "TCP"}],
            # The server answers 200 there once the model has loaded and answered.
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": PORT}, "timeoutSeconds": 6},
            **({"resources": {"requests": resources, "limits": resources}} if resources else {}),
        }


def updated(predictor: Object, wanted: Object) -> Object:
    """Returns a predictor that serves another version; fields that Seqline does not set stay as they are.

    Args:
        predictor: The predictor as it is.
        wanted: From `Hosting.predictor`.
    """
    (container,) = wanted["containers"]
    containers = predictor.get("containers") or []
    before: Object = next((one for one in containers if one.get("name") == CONTAINER), {})
    kept = {key: value for key, value in before.items() if key not in OF_CONTAINER}
    variables = [one for one in before.get("env") or [] if one["name"] != "STORAGE_URI"]
    container = {**kept, **container, "env": [*variables, *container["env"]]}
    return {
        **{key: value for key, value in predictor.items() if key not in OF_PREDICTOR},
        **wanted,
        "annotations": {**(predictor.get("annotations") or {}), **wanted["annotations"]},
        "containers": [container, *(one for one in containers if one.get("name") != CONTAINER)],
    }


def inference_service(namespace: str, name: str, mode: str, predictor: Object) -> Object:
    """Returns a new InferenceService.

    Args:
        namespace: Its namespace.
        name: Its name.
        mode: standard or serverless.
        predictor: Its predictor.
    """
    annotations = {"serving.kserve.io/deploymentMode": MODES[mode]}
    if mode == "serverless":
        # An address of the newest revision alone: ksvc_reconciler.go, `EnableRoutingTagAnnotationKey`.
        annotations["serving.kserve.io/enable-tag-routing"] = "true"
    return {
        "apiVersion": INFERENCE_SERVICE.version,
        "kind": INFERENCE_SERVICE.name,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "annotations": annotations,
        },
        "spec": {"predictor": predictor},
    }


def version_of(annotations: dict[str, Any] | None) -> int | None:
    """Returns the version in an object's annotations, or None.

    Args:
        annotations: The annotations of a predictor, a revision, or a pod's template.
    """
    given = (annotations or {}).get(VERSION, "")
    return int(given) if given.isdecimal() else None


def small(predictor: Object) -> Object:
    """Returns a predictor with one replica, for the checks of a version.

    Args:
        predictor: From `Hosting.predictor`.
    """
    kept = {key: value for key, value in predictor.items() if not key.startswith("scale")}
    return {**kept, "minReplicas": 1, "maxReplicas": 1}
