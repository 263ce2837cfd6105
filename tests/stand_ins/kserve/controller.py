"""KServe's controller, Knative's, and the pods: each `step` is one state that a client may see.

Sources, in github.com/kserve/kserve: `createKnativeService` in
pkg/controller/v1beta1/inferenceservice/reconcilers/knative/ksvc_reconciler.go, `PropagateStatus` and
`PropagateRawStatus` in pkg/apis/serving/v1beta1/inference_service_status.go, and `buildObjectMeta` in
pkg/controller/v1beta1/inferenceservice/components/predictor.go: annotations of the InferenceService are its pods' too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.stand_ins.kserve.objects import Object, Objects

DOMAIN = "example.com"


@dataclass
class Pod:
    """A server.

    Attributes:
        name: The model's name in its addresses.
        version: The version that its answers name.
        model: What the model does.
        url: The address of a real server; empty for an answer of the stand-in.
    """

    name: str
    version: str
    model: Callable[[str], str]
    url: str = ""


@dataclass
class Controller:
    """Moves the status of all InferenceServices towards their specs.

    Attributes:
        start: Starts the real server of a container, and returns its address and a function that ends it; None for a
            stand-in.
    """

    objects: Objects
    models: dict[str, Callable[[str], str]]
    start: Callable[[Object, list[str]], tuple[str, Callable[[], None]]] | None = None
    pods: dict[str, Pod] = field(default_factory=dict)
    ends: list[Callable[[], None]] = field(default_factory=list)
    templates: dict[str, Object] = field(default_factory=dict)
    generations: dict[str, int] = field(default_factory=dict)
    starting: int = 0

    def step(self) -> bool:
        """Takes one step; returns whether anything was left to do."""
        services = [found for (plural, _, _), found in self.objects.stored.items() if plural == "inferenceservices"]
        return any(self._step(service) for service in services)

    def stop(self) -> None:
        for end in self.ends:
            end()

    def deleted(self, removed: Object) -> None:
        """Deletes what an InferenceService owns."""
        if removed["kind"] != "InferenceService":
            return
        owner = removed["metadata"]["name"] + "-predictor"
        for key in [key for key in self.objects.stored if key[0] in ("deployments", "revisions")]:
            if key[2] == owner or key[2].rpartition("-")[0] == owner:
                del self.objects.stored[key]
        self.templates.pop(owner, None)

    def _step(self, service: Object) -> bool:
        status = service.setdefault("status", {})
        before = repr(status)
        metadata = service["metadata"]
        serverless = metadata["annotations"]["serving.kserve.io/deploymentMode"] == "Knative"
        for _ in (self._serverless if serverless else self._standard)(service, status):
            break
        else:
            if before == repr(status):
                return False
        # Before the first deployment the mode is not recorded: `GetDeploymentMode`.
        status["deploymentMode"] = "Knative" if serverless else "Standard"
        self.objects.touch(service)
        return True

    def _serverless(self, service: Object, status: Object) -> Iterator[None]:
        name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
        predictor, owner = service["spec"]["predictor"], service["metadata"]["name"] + "-predictor"
        component = status.setdefault("components", {}).setdefault("predictor", {})
        template = _template(service)
        if self.templates.get(owner) != template:
            self.templates[owner] = template
            # Knative names a revision by the configuration's generation, which the deleted one's does not continue.
            self.generations[owner] = self.generations.get(owner, 0) + 1
            revision = f"{owner}-{self.generations[owner]:05d}"
            self.objects.create(
                "revisions",
                namespace,
                {
                    "kind": "Revision",
                    "metadata": {"name": revision, "annotations": template["annotations"]},
                    "spec": {"containers": template["containers"]},
                },
            )
            component["latestCreatedRevision"] = revision
            _set(status, "PredictorReady", "Unknown", "the revision is being deployed")
            yield
        created = component["latestCreatedRevision"]
        if component.get("latestReadyRevision") != created and created not in self.pods:
            failed = self._start(created, template["containers"])
            if failed:
                _fail(status, failed)
                message = f'Revision "{created}" failed with message: {failed}.'
                if status["conditions"][0].get("message") != message:
                    _set(status, "PredictorReady", "False", message)
                    yield
            else:
                status["modelStatus"] = {"transitionStatus": "UpToDate"}
                component["latestReadyRevision"] = created
                yield
        elif component.get("latestReadyRevision") != created:
            component["latestReadyRevision"] = created
            yield
        ready = component.get("latestReadyRevision")
        if not ready:
            return
        component["url"] = f"http://{owner}.{namespace}.{DOMAIN}"
        component["address"] = {"url": f"http://{owner}.{namespace}.svc.cluster.local"}
        status["url"] = f"http://{name}-{namespace}.{DOMAIN}"
        status["address"] = {"url": f"http://{name}.{namespace}.svc.cluster.local"}
        targets = self._targets(predictor, component, service["metadata"]["annotations"])
        traffic = [_resolved(target, ready, owner, namespace) for target in targets]
        if component.get("traffic") != traffic:
            component["traffic"] = traffic
            if ready == created:
                _set(status, "PredictorReady", "True")
                _set(status, "IngressReady", "True")
            self._roll(component)
            yield

    def _targets(self, predictor: Object, component: Object, annotations: Object) -> list[Object]:
        percent, rolled_out = predictor.get("canaryTrafficPercent"), component.get("latestRolledoutRevision")
        tagged = annotations.get("serving.kserve.io/enable-tag-routing") == "true"
        newest: Object = {"latestRevision": True, "percent": 100, **({"tag": "latest"} if tagged else {})}
        if percent is None or not rolled_out:
            return [newest]
        rest = {"revisionName": rolled_out, "latestRevision": False, "percent": 100 - percent, "tag": "prev"}
        return [{**newest, "percent": percent}, *([rest] if percent < 100 else [])]

    def _roll(self, component: Object) -> None:
        """`PropagateStatus`, from `serviceStatus.Traffic` on."""
        by_revision: dict[str, int] = {}
        for target in component["traffic"]:
            by_revision[target["revisionName"]] = by_revision.get(target["revisionName"], 0) + target["percent"]
        ready, created = component["latestReadyRevision"], component["latestCreatedRevision"]
        for target in component["traffic"]:
            if target["revisionName"] != ready or not target["latestRevision"]:
                continue
            if component.get("latestRolledoutRevision") != ready:
                if target["percent"] == 100:
                    component["previousRolledoutRevision"] = component.get("latestRolledoutRevision", "")
                    component["latestRolledoutRevision"] = ready
            elif ready == created and target["percent"] < 100 == by_revision[ready]:
                before = component.get("previousRolledoutRevision")
                component["latestRolledoutRevision"] = before or component["latestRolledoutRevision"]

    def _standard(self, service: Object, status: Object) -> Iterator[None]:
        name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
        owner, template = name + "-predictor", _template(service)
        if self.templates.get(owner) != template:
            first = owner not in self.templates
            self.templates[owner] = template
            content = {
                "kind": "Deployment",
                "metadata": {"name": owner},
                "spec": {"replicas": 1, "template": {"metadata": {"annotations": template["annotations"]}}},
            }
            if first:
                made = self.objects.create("deployments", namespace, content)
                deployment = self.objects.get("deployments", namespace, owner)
                deployment["status"] = {}
                del made
            else:
                deployment = self.objects.get("deployments", namespace, owner)
                deployment["spec"] = content["spec"]
                deployment["metadata"]["generation"] += 1
                self.objects.touch(deployment)
            yield
        deployment = self.objects.get("deployments", namespace, owner)
        generation, progress = deployment["metadata"]["generation"], deployment["status"]
        if progress.get("observedGeneration") != generation:
            old = progress.get("availableReplicas", 0)
            progress.clear()
            # deployment_reconciler.go: the new pod is added before the old one ends.
            progress |= {"observedGeneration": generation, "replicas": old + 1, "updatedReplicas": 1}
            progress["availableReplicas"] = old
            progress["conditions"] = [{"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}]
            self.objects.touch(deployment)
            yield
        if progress["conditions"][0]["reason"] == "ReplicaSetUpdated":
            self.starting += 1
            pod = f"{owner}-{self.starting}"
            failed = self._start(pod, template["containers"])
            if failed:
                _fail(status, failed)
                progress["conditions"] = [
                    {
                        "type": "Progressing",
                        "status": "False",
                        "reason": "ProgressDeadlineExceeded",
                        "message": f'ReplicaSet "{pod}" has timed out progressing.',
                    }
                ]
            else:
                progress["conditions"] = [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]
                progress |= {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
                self.pods[owner] = self.pods.pop(pod)
                status["modelStatus"] = {"transitionStatus": "UpToDate"}
            self.objects.touch(deployment)
            yield
        if progress.get("availableReplicas") and "url" not in status:
            status["url"] = f"http://{name}-{namespace}.{DOMAIN}"
            status["address"] = {"url": f"http://{owner}.{namespace}.svc.cluster.local"}
            _set(status, "PredictorReady", "True")
            _set(status, "IngressReady", "True")
            yield

    def _start(self, name: str, containers: list[Object]) -> str:
        """Starts a pod; returns why it fails, or nothing."""
        container = next(one for one in containers if one["name"] == "kserve-container")
        variables = {one["name"]: one["value"] for one in container["env"]}
        # storage_initializer_injector.go: the model is in /mnt/models of the container with this name.
        address, arguments = variables["STORAGE_URI"], container["args"]
        if address not in self.models:
            return f"the storage initializer cannot read {address}"
        given = dict(zip(arguments[::2], arguments[1::2], strict=True))
        assert given["--model"] == "/mnt/models"
        assert container["readinessProbe"]["httpGet"]["port"] == container["ports"][0]["containerPort"] == 8080
        url = ""
        if self.start is not None:
            url, end = self.start(container, arguments)
            self.ends.append(end)
        self.pods[name] = Pod(given["--name"], given["--version"], self.models[address], url)
        return ""


def _template(service: Object) -> Object:
    """What the pods are made from; the canary's percentage is not part of it."""
    predictor = service["spec"]["predictor"]
    others = {key: value for key, value in predictor.items() if key not in ("canaryTrafficPercent", "annotations")}
    annotations = {**service["metadata"]["annotations"], **predictor.get("annotations", {})}
    return {**others, "annotations": annotations}


def _resolved(target: Object, ready: str, owner: str, namespace: str) -> Object:
    made = {"revisionName": ready, **target}
    if "tag" in made:
        made["url"] = f"http://{made['tag']}-{owner}.{namespace}.{DOMAIN}"
    return made


def _fail(status: Object, why: str) -> None:
    status["modelStatus"] = {
        "transitionStatus": "BlockedByFailedLoad",
        "lastFailureInfo": {"reason": "ModelLoadFailed", "message": why},
    }


def _set(status: Object, kind: str, value: str, message: str = "") -> None:
    conditions: dict[str, Any] = {one["type"]: one for one in status.get("conditions", [])}
    conditions[kind] = {"type": kind, "status": value, **({"message": message} if message else {})}
    both = [conditions.get(one, {}).get("status", "Unknown") for one in ("PredictorReady", "IngressReady")]
    ready = "True" if both == ["True", "True"] else "False" if "False" in both else "Unknown"
    conditions["Ready"] = {"type": "Ready", "status": ready, **({"message": message} if message else {})}
    status["conditions"] = [conditions.pop("PredictorReady", {"type": "PredictorReady", "status": "Unknown"})]
    status["conditions"] += conditions.values()
