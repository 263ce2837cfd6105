"""Deploys and undeploys versions on an endpoint, also after a stage that gave up in between.

a deployed model's id  its version's number, so that no version is deployed twice
an endpoint's label    seqline-abandoned-N: the stage gave up deploying version N, which the next one undeploys
"""

import logging
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from seqline.endpoints.back_end import ChangedError, State
from seqline.endpoints.vertex_hosting import Machine
from seqline.endpoints.vertex_registry import Registry
from seqline.endpoints.vertex_resource import Resource
from seqline.vertex_api.operations import Operations, TimeLimitError

log = logging.getLogger(__name__)

ABANDONED = "seqline-abandoned-"
# Time limit for a deployment to end that the stage gave up: it usually takes ten minutes.
GRACE_SECONDS = 900.0


@dataclass
class Deployments:
    """The deployments of one endpoint.

    Attributes:
        resource: The endpoint.
        registry: Its model's versions.
        machine: The machines of a version.
        operations: How long operations are followed.
        begun: Versions whose deployment this process has not seen ending, and the operation's name if the response
            had it.
    """

    resource: Resource
    registry: Registry
    machine: Machine
    operations: Operations
    begun: dict[int, str] = field(default_factory=dict)

    def add(self, version: int) -> None:
        """Deploys a version; the first one on an endpoint must take all traffic at once."""
        self.resource.require_own(self.resource.find())
        self._undeploy_abandoned(version)
        self.begun[version] = ""

        def deploy() -> Any:
            from google.cloud.aiplatform_v1 import DeployedModel

            endpoint = self.resource.find()
            log.info("deploying version %d on Vertex; this takes about ten minutes", version)
            deployed = DeployedModel(
                id=str(version),
                model=f"{self.registry.model}@{version}",
                display_name=f"{self.resource.id}-{version}",
                service_account=self.machine.service_account,
                dedicated_resources=self.machine.resources(),
            )
            request: dict[str, Any] = {"endpoint": endpoint.name, "deployed_model": deployed}
            if not endpoint.deployed_models:
                # Otherwise the split is left out: it would undo a change of the next ten minutes.
                request["traffic_split"] = {"0": 100}
            started = self.resource.client.deploy_model(request=request)
            self.begun[version] = started.operation.name
            return started

        self.operations.finish(
            f"deploy version {version}",
            lambda: version in self.resource.deployed(self.resource.find()) or None,
            deploy,
            "DeployModel",
            self.resource.parents(),
        )
        del self.begun[version]

    def remove(self, versions: Collection[int]) -> None:
        """Undeploys versions, by the ids of their deployed models.

        A deployment that this process has begun, and that is still on its way, is cancelled, or undeployed when it
        ends. If that takes too long, the next deployment undeploys it.
        """
        if not versions:
            return
        late = [version for version in versions if self._give_up(version)]
        shares: dict[int, int] = {}

        def free() -> None:
            endpoint = self.resource.find()
            deployed = self.resource.deployed(endpoint)
            traffic = self.resource.traffic(endpoint)
            shares.clear()
            shares.update({version: traffic[version] for version in traffic if version in versions})
            if not any(shares.values()) or len(endpoint.deployed_models) == 1:
                return
            self.resource.require_no_others(endpoint)
            if any(share for version, share in traffic.items() if version not in shares):
                used = next(version for version, share in shares.items() if share)
                raise ChangedError(f"version {used} has {shares[used]}% of the traffic, so it is not undeployed")
            # Only a version without traffic can be undeployed, or the last one.
            last = max(shares, key=lambda version: shares[version])
            self.resource.set_split(
                endpoint, {deployed[last]: 100} if len(shares) == len(endpoint.deployed_models) else {}
            )

        self.resource.consistently("take the traffic from the versions to undeploy", free)
        for version in sorted(shares, key=lambda version: shares[version]):
            self._undeploy(version)
        if late and not self._running_deployments():
            self._set_abandoned(late, False)

    def _undeploy(self, version: int) -> None:
        def undeploy() -> Any:
            endpoint = self.resource.find()
            log.info("undeploying version %d from Vertex", version)
            number = self.resource.deployed(endpoint).get(version, str(version))
            return self.resource.client.undeploy_model(request={"endpoint": endpoint.name, "deployed_model_id": number})

        self.operations.finish(
            f"undeploy version {version}",
            lambda: version not in self.resource.deployed(self.resource.find()) or None,
            undeploy,
            "UndeployModel",
            self.resource.parents(),
        )

    def _running_deployments(self) -> list[str]:
        return self.resource.retries.read(
            "list the operations", lambda: self.operations.running("DeployModel", self.resource.parents())
        )

    def _give_up(self, version: int) -> bool:
        """Cancels a deployment that this process has begun, and waits for its end; returns whether it was running."""
        from google.api_core.exceptions import GoogleAPICallError

        own = self.begun.pop(version, None)
        if own is None or version in self.resource.deployed(self.resource.find()):
            return False
        # Without its name it is one of those that run; another one is waited for, but not cancelled.
        names = [name for name in self._running_deployments() if own in ("", name)]
        if not names:
            return False
        # First, because this process may be killed while it waits.
        self._set_abandoned([version], True)
        deadline = self.operations.clock() + GRACE_SECONDS
        for name in names:
            if own:
                self.operations.cancel(name)
            try:
                self.operations.wait(f"end {name}", name, deadline)
            except TimeLimitError:
                log.warning("version %d may still be deployed; the next deployment undeploys it", version)
            except GoogleAPICallError as error:
                log.info("version %d was not deployed: %s", version, error)
        return True

    def _set_abandoned(self, versions: Collection[int], abandoned: bool) -> None:
        names = {f"{ABANDONED}{version}" for version in versions}

        def mark() -> None:
            endpoint = self.resource.find()
            others = {name: value for name, value in endpoint.labels.items() if name not in names}
            labels = {**others, **dict.fromkeys(names, "true")} if abandoned else others
            if labels != dict(endpoint.labels):
                self.resource.update(endpoint, labels=labels)

        self.resource.consistently("record an abandoned deployment", mark)

    def _undeploy_abandoned(self, candidate: int) -> None:
        """Undeploys the versions that earlier stages gave up, unless they are in use by now."""
        endpoint = self.resource.find()
        labels = endpoint.labels if endpoint is not None else {}
        named = {int(name.removeprefix(ABANDONED)) for name in labels if re.fullmatch(ABANDONED + r"\d+", name)}
        if not named:
            return
        self._set_abandoned([candidate], False)
        state = State(self.resource.traffic(self.resource.find()), *self.registry.names())
        used = {candidate, *state.shares, *state.aliases.values()}
        self.remove((named & state.traffic.keys()) - used)
        if not self._running_deployments():
            self._set_abandoned(named, False)
