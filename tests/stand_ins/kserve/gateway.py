"""The ingress gateway: it finds a revision or an InferenceService by the Host header, and shares the traffic."""

import json
import random
import urllib.error
import urllib.request
from dataclasses import dataclass, field

from seqline.errors import UserError
from tests.stand_ins.kserve.controller import Controller, Pod
from tests.stand_ins.kserve.objects import Objects


@dataclass
class Gateway:
    """Routes requests to pods."""

    objects: Objects
    controller: Controller
    choices: random.Random = field(default_factory=lambda: random.Random(1))
    asked: list[tuple[str, str]] = field(default_factory=list)

    def choose(self, host: str) -> Pod | None:
        """The pod that answers for a host."""
        for (plural, _, name), service in self.objects.stored.items():
            if plural != "inferenceservices" or "url" not in service.get("status", {}):
                continue
            owner = f"{name}-predictor"
            traffic = (
                service["status"]["components"]["predictor"]["traffic"] if "components" in service["status"] else []
            )
            if host == service["status"]["url"].removeprefix("http://"):
                chosen = owner
                if traffic:
                    (chosen,) = self.choices.choices(
                        [target["revisionName"] for target in traffic], [target["percent"] for target in traffic]
                    )
                pod = self.controller.pods[chosen]
            else:
                tags = {target.get("url", "").removeprefix("http://"): target["revisionName"] for target in traffic}
                if host not in tags:
                    continue
                pod = self.controller.pods[tags[host]]
            self.asked.append((host, pod.version))
            return pod
        return None

    def ask(self, pod: Pod | None, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Sends a request to a pod."""
        if pod is None:
            return 404, {"Content-Type": "text/plain"}, b"no such host"
        if pod.url:
            request = urllib.request.Request(pod.url + path, body, {"Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(request) as response:
                    headers = {"X-Model-Version": response.headers["X-Model-Version"]}
                    return (
                        response.status,
                        headers | {"Content-Type": response.headers["Content-Type"]},
                        response.read(),
                    )
            except urllib.error.HTTPError as error:
                return error.code, {}, error.read()
        if path != f"/v1/models/{pod.name}:predict":
            return 404, {}, json.dumps({"error": f"there is no {path}"}).encode()
        content = json.loads(body)
        try:
            answers = [{"text": pod.model(text), "score": -0.1} for text in content["instances"]]
        except UserError as error:
            return 400, {}, json.dumps({"error": str(error)}).encode()
        return 200, {"X-Model-Version": pod.version}, json.dumps({"predictions": answers}).encode()
