"""Versions in standard mode: one Deployment, without Knative, and so without shares of the traffic.

A version is first deployed as an InferenceService of its own, NAME-candidate, with one replica. It is checked there,
and then the endpoint's InferenceService changes to it: Kubernetes starts the new pods before it ends the old ones
(deployment_reconciler.go: RollingUpdate, maxUnavailable 25%, which is none of up to three replicas).

KServe 0.20 and later have `spec.canary` in this mode. It is not used: an older API server drops fields that it does not
know without an error, and the candidate would be live at once, unchecked.
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from seqline.endpoints.back_end import ChangedError
from seqline.endpoints.kserve.cluster import DEPLOYMENT, INFERENCE_SERVICE, Object
from seqline.endpoints.kserve.hosting import inference_service, small, updated, version_of
from seqline.endpoints.kserve.placement import Check, Site, condition, failure, is_ready, not_loaded
from seqline.errors import UserError

log = logging.getLogger(__name__)

CANDIDATE = "-candidate"


@dataclass
class Standard:
    """The InferenceService of the live version, and one of a candidate.

    Attributes:
        site: What it works on.
    """

    site: Site

    mode = "standard"
    most_served = 1

    def traffic(self) -> dict[int, int]:
        """All traffic is at the live version; the candidate has none."""
        live, candidate = (_spec(self.site.service(name)) for name in (self.site.name, self._candidate))
        found = {} if candidate is None else {candidate: 0}
        return found if live is None else {**found, live: 100}

    def add(self, version: int) -> None:
        """Deploys the candidate; the first version becomes live at once."""
        wanted = self.site.version(version).predictor
        found = self.site.service()
        live = _spec(found)
        if found is None or live == version:
            self._change_live(version, wanted)
            return
        if _spec(self.site.service(self._candidate)) not in (None, version):
            # Created again: its status is then of this version alone.
            self._remove_candidate()

        def altered(current: Object | None) -> Object:
            if current is None:
                namespace = self.site.cluster.namespace
                return inference_service(namespace, self._candidate, self.mode, small(wanted))
            return _with(current, updated(current["spec"]["predictor"], small(wanted)))

        log.info("KServe loads version %d as %s", version, self._candidate)
        self.site.change(altered, self._candidate)
        self._await(self._candidate, version)

    def split(self, traffic: Mapping[int, int], check: Check) -> None:
        """Changes the live InferenceService to the version that gets all traffic."""
        wanted = {version: share for version, share in traffic.items() if share}
        if set(wanted.values()) != {100}:
            raise UserError(
                f"{self.site.name} is in standard mode, in which KServe does not split the traffic between versions; "
                "give one version 100%, or deploy to a new endpoint with deployment_mode: serverless"
            )
        (version,) = wanted
        self._change_live(version, self.site.version(version).predictor, check)
        if _spec(self.site.service(self._candidate)) == version:
            self._remove_candidate()

    def remove(self, versions: Collection[int]) -> None:
        """Deletes the candidate, or both."""
        self.site.require()
        if _spec(self.site.service(self._candidate)) in versions:
            self._remove_candidate()
        if _spec(self.site.service()) in versions:
            self.site.cluster.delete(INFERENCE_SERVICE, self.site.name)

    def address_of(self, version: int) -> str:
        """The address of the InferenceService that serves the version."""
        for name in (self._candidate, self.site.name):
            found = self.site.service(name)
            if _spec(found) == version:
                return address(found, self.site.inside)
        raise UserError(f"version {version} is not deployed on {self.site.name}")

    @property
    def _candidate(self) -> str:
        return self.site.name + CANDIDATE

    def _change_live(self, version: int, wanted: Object, check: Check = lambda shares: None) -> None:
        def altered(current: Object | None) -> Object:
            live = _spec(current)
            check({} if live is None else {live: 100})
            if current is None:
                return inference_service(self.site.cluster.namespace, self.site.name, self.mode, wanted)
            return _with(current, updated(current["spec"]["predictor"], wanted))

        self.site.change(altered)
        self._await(self.site.name, version)

    def _remove_candidate(self) -> None:
        self.site.require()
        self.site.cluster.delete(INFERENCE_SERVICE, self._candidate)
        cluster = self.site.cluster
        if not cluster.wait(INFERENCE_SERVICE, self._candidate, lambda found: found is None or None, self.site.seconds):
            raise UserError(f"the InferenceService {self._candidate} was not deleted within {self.site.seconds:g} s")

    def _await(self, name: str, version: int) -> None:
        """Waits until every pod of an InferenceService serves a version."""
        cluster, seconds = self.site.cluster, self.site.seconds

        def rolled_out(found: Object | None) -> str | None:
            # As `kubectl rollout status` does: kubectl/pkg/polymorphichelpers/rollout_status.go.
            if found is None or version_of(found["spec"]["template"]["metadata"].get("annotations")) != version:
                return None
            status = found.get("status") or {}
            if status.get("observedGeneration", 0) < found["metadata"]["generation"]:
                return None
            progress = condition(found, "Progressing")
            if progress.get("reason") == "ProgressDeadlineExceeded":
                return failure(self.site.service(name)) or str(progress.get("message"))
            wanted, updated_pods = found["spec"].get("replicas", 1), status.get("updatedReplicas", 0)
            total, available = status.get("replicas", 0), status.get("availableReplicas", 0)
            return "" if wanted <= updated_pods == total <= available else None

        outcome = cluster.wait(DEPLOYMENT, f"{name}-predictor", rolled_out, seconds)
        if outcome is None or outcome:
            raise not_loaded(version, self.site, outcome or failure(self.site.service(name)))

        def ready(found: Object | None) -> bool | None:
            if _spec(found) != version:
                raise ChangedError(f"someone else deployed another version to {name} in the meantime")
            return is_ready(found) or None

        if not cluster.wait(INFERENCE_SERVICE, name, ready, seconds):
            message = condition(self.site.service(name), "Ready").get("message")
            raise not_loaded(version, self.site, message or "its InferenceService does not become ready")


def address(found: Object | None, inside: bool) -> str:
    """Returns an InferenceService's address.

    Args:
        found: The InferenceService.
        inside: Whether it is for a pod of the cluster.

    Raises:
        UserError: If it has none yet.
    """
    status = (found or {}).get("status") or {}
    url = (status.get("address") or {}).get("url") if inside else ""
    if not url and not status.get("url"):
        name = found["metadata"]["name"] if found else "the InferenceService"
        raise UserError(f"{name} has no address yet; KServe gives it one when a version is ready")
    return str(url or status["url"])


def _spec(found: Object | None) -> int | None:
    return version_of(found["spec"]["predictor"].get("annotations")) if found else None


def _with(found: Object, predictor: Object) -> Object:
    return {**found, "spec": {**found["spec"], "predictor": predictor}}
