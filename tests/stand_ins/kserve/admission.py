"""What the API server and KServe's webhooks check of an InferenceService, and set.

The fields that Seqline uses are those of the CRD, config/crd/full/serving.kserve.io_inferenceservices.yaml; an API
server drops others without an error, which here is one. The rules are those of
pkg/apis/serving/v1beta1/inference_service_{validation,defaults}.go and component.go.
"""

import copy
import re
from typing import Any

import jsonschema_rs

from tests.stand_ins.kserve.objects import ApiError

Object = dict[str, Any]
TEXT, WHOLE = {"type": "string"}, {"type": "integer"}


def _object(required: tuple[str, ...] = (), **properties: Any) -> Object:
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": properties}


TEXTS = {"type": "object", "additionalProperties": TEXT}
# A quantity: x-kubernetes-int-or-string with this pattern.
QUANTITY = {
    "type": "string",
    "pattern": r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?[0-9]+))?$",
}
QUANTITIES = {"type": "object", "additionalProperties": QUANTITY}
CONTAINER = _object(
    ("name",),
    name=TEXT,
    image=TEXT,
    args={"type": "array", "items": TEXT},
    env={"type": "array", "items": _object(("name",), name=TEXT, value=TEXT)},
    ports={"type": "array", "items": _object(("containerPort",), containerPort=WHOLE, protocol=TEXT)},
    readinessProbe=_object((), httpGet=_object(("port",), path=TEXT, port=WHOLE), timeoutSeconds=WHOLE),
    resources=_object((), requests=QUANTITIES, limits=QUANTITIES),
    volumeMounts={"type": "array"},
)
PREDICTOR = _object(
    (),
    annotations=TEXTS,
    minReplicas=WHOLE,
    maxReplicas=WHOLE,
    scaleMetric={"enum": ["cpu", "memory", "concurrency", "rps"]},
    scaleTarget=WHOLE,
    canaryTrafficPercent=WHOLE,
    timeout=WHOLE,
    serviceAccountName=TEXT,
    containers={"type": "array", "items": CONTAINER},
    nodeSelector=TEXTS,
)
METADATA = _object(
    ("name",),
    name=TEXT,
    namespace=TEXT,
    annotations=TEXTS,
    labels=TEXTS,
    resourceVersion=TEXT,
    uid=TEXT,
    generation=WHOLE,
)
SCHEMA = _object(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "serving.kserve.io/v1beta1"},
    kind={"const": "InferenceService"},
    metadata=METADATA,
    spec=_object(("predictor",), predictor=PREDICTOR),
    status={"type": "object"},
)
VALIDATOR = jsonschema_rs.validator_for(SCHEMA)
MODE = "serving.kserve.io/deploymentMode"


def check(made: Object, before: Object | None) -> Object:
    """Returns the object with its defaults.

    Args:
        made: The object that is written.
        before: The one that it replaces.

    Raises:
        ApiError: If the schema or a webhook refuses it.
    """
    try:
        VALIDATOR.validate(made)
    except jsonschema_rs.ValidationError as error:
        where = ".".join(map(str, error.instance_path))
        raise ApiError(422, f"InferenceService is invalid: {where}: {error.message}") from error
    made = copy.deepcopy(made)
    annotations = made["metadata"].setdefault("annotations", {})
    # `DefaultInferenceService`: names before 0.16.
    annotations[MODE] = {"RawDeployment": "Standard", "Serverless": "Knative"}.get(annotations[MODE], annotations[MODE])
    predictor = made["spec"]["predictor"]
    for container in predictor["containers"]:
        # `setResourceRequirementDefaults`
        resources = container.setdefault("resources", {})
        for kind in ("requests", "limits"):
            resources[kind] = {"cpu": "1", "memory": "2Gi", **resources.get(kind, {})}
    _validate(made, before)
    return made


def _validate(made: Object, before: Object | None) -> None:
    name, predictor = made["metadata"]["name"], made["spec"]["predictor"]
    mode = made["metadata"]["annotations"][MODE]
    if not re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", name):
        raise _refused(f"the InferenceService {name!r} is invalid: a InferenceService name must consist of lower case")
    if before is not None and before.get("status", {}).get("deploymentMode", mode) != mode:
        raise _refused("update rejected: deploymentMode cannot be changed")
    least, most = predictor.get("minReplicas", 1), predictor.get("maxReplicas", 0)
    if least < 0 or most < 0 or (most and least > most):
        raise _refused("MinReplicas cannot be greater than MaxReplicas.")
    metric, target = predictor.get("scaleMetric"), predictor.get("scaleTarget")
    if mode == "Knative":
        # `validateScalingKPACompExtension`
        if metric not in (None, "concurrency", "rps"):
            raise _refused(f"[{metric}] is not a supported metric")
    elif metric not in (None, "cpu", "memory") or (metric == "cpu" and target and not 1 <= target <= 100):
        raise _refused(f"[{metric}] is not a supported metric, or its target is no percentage")
    if [one["name"] for one in predictor["containers"]].count("kserve-container") != 1:
        raise _refused("exactly one kserve-container is needed")
    if "canaryTrafficPercent" in predictor and mode != "Knative":
        raise _refused("canaryTrafficPercent has no effect without Knative")


def _refused(message: str) -> ApiError:
    # A webhook's answer: apiserver/pkg/admission/plugin/webhook/errors/statuserror.go
    return ApiError(
        403, f'admission webhook "inferenceservice.kserve-webhook-server.validator" denied the request: {message}'
    )
