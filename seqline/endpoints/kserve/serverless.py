"""Versions in serverless mode: revisions of one InferenceService, on Knative.

Its spec is the newest version, which has `canaryTrafficPercent` of the traffic; the revision that last had all of it
has the rest: pkg/controller/v1beta1/inferenceservice/reconcilers/knative/ksvc_reconciler.go, `createKnativeService`. So
two versions are deployed at a time. With the annotation `enable-tag-routing` each has an address of its own.

A revision has the predictor's annotations, so it names its version. The status of the InferenceService does not: its
`observedGeneration` is the Knative service's (`PropagateStatus`), and a version that was just written may not be in it.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from seqline.endpoints.back_end import ChangedError
from seqline.endpoints.kserve.cluster import INFERENCE_SERVICE, REVISION, Object
from seqline.endpoints.kserve.hosting import inference_service, updated, version_of
from seqline.endpoints.kserve.placement import Check, Site, component, condition, failure, is_ready, not_loaded
from seqline.errors import UserError

log = logging.getLogger(__name__)

# For KServe's controller and Knative to change the routes.
ROUTE_SECONDS = 300.0


@dataclass
class Serverless:
    """The revisions of one InferenceService.

    Attributes:
        site: What it works on.
    """

    site: Site
    _versions: dict[str, int | None] = field(default_factory=dict)

    mode = "serverless"
    most_served = 2

    def traffic(self) -> dict[int, int]:
        """The shares of the revisions in the status, by their versions."""
        return self._shares(self.site.service())

    def add(self, version: int) -> None:
        """Writes the version into the spec with 0% of the traffic; the first one has all of it at once."""
        wanted = self.site.version(version).predictor

        def altered(found: Object | None) -> Object:
            if found is None:
                return inference_service(self.site.cluster.namespace, self.site.name, self.mode, wanted)
            newest = self._spec(found)
            if newest != version and self._shares(found).get(version):
                return found  # the revision that has the rest of the traffic
            predictor = updated(found["spec"]["predictor"], wanted)
            return _with(found, predictor if newest == version else {**predictor, "canaryTrafficPercent": 0})

        if self._spec(self.site.change(altered)) == version:
            log.info("KServe loads version %d", version)
            self._await_newest(version)

    def split(self, traffic: Mapping[int, int], check: Check) -> None:
        """Sets the share of the newest version; the one before it has the rest."""
        wanted = {version: share for version, share in traffic.items() if share}

        def altered(found: Object | None) -> Object:
            if found is None:
                raise ChangedError(f"someone else deleted the InferenceService {self.site.name}")
            check(self._shares(found))
            newest, before = self._spec(found), self._before(found)
            others = wanted.keys() - {newest, before}
            if others:
                raise ChangedError(
                    f"version {min(others)} is not deployed; KServe splits the traffic between the newest revision and "
                    f"the one that had all of it before: {newest} and {before}"
                )
            if newest == before or self._served(found) == wanted:
                return found
            return _with(found, {**found["spec"]["predictor"], "canaryTrafficPercent": wanted.get(newest or 0, 0)})

        self.site.change(altered)
        self._await("apply the split", lambda found: self._served(found) == wanted)

    def remove(self, versions: Collection[int]) -> None:
        """Writes the version that has the traffic into the spec again, so that the newest revision ends."""
        found = self.site.service()
        newest = self._spec(found)
        if found is None or newest not in versions:
            return
        before = self._before(found)
        served = self._served(found).keys()
        if before is None or (served and not served - set(versions)):
            self.site.require()
            self.site.cluster.delete(INFERENCE_SERVICE, self.site.name)
            return
        wanted = self.site.version(before).predictor

        def altered(current: Object | None) -> Object:
            if current is None or self._spec(current) not in (newest, before):
                raise ChangedError(f"someone else deployed another version to {self.site.name} in the meantime")
            if newest in self._served(current):
                raise ChangedError(f"version {newest} has a share of the traffic, so it is not undeployed")
            # Until the new revision is ready, the newest one that is has this share: it must stay 0.
            return _with(current, {**updated(current["spec"]["predictor"], wanted), "canaryTrafficPercent": 0})

        self.site.change(altered)
        if self._await_ready(before):
            # One revision is enough: without the percentage the newest one has all traffic.
            self.site.change(lambda current: self._whole(current, before))
        else:
            log.warning("a new revision of version %d is not ready; the one before it keeps the traffic", before)

    def address_of(self, version: int) -> str:
        """The address of the revision's tag, or of the predictor if it has all traffic."""
        found = self.site.service()
        predictor = component(found)
        for target in predictor.get("traffic") or []:
            if self._version(target["revisionName"]) == version and target.get("url"):
                if not self.site.inside:
                    return str(target["url"])
                # Knative creates a service for each tag: serving/pkg/reconciler/route/resources/service.go.
                parts = urlsplit((predictor.get("address") or {}).get("url") or target["url"])
                return urlunsplit((parts.scheme, f"{target['tag']}-{parts.netloc}", "", "", ""))
        raise UserError(f"version {version} has no address: the status of {self.site.name} does not list it")

    def _shares(self, found: Object | None) -> dict[int, int]:
        shares: dict[int, int] = {}
        for target in component(found).get("traffic") or []:
            version = self._version(target["revisionName"])
            if version is not None:
                shares[version] = shares.get(version, 0) + (target.get("percent") or 0)
        return shares

    def _served(self, found: Object | None) -> dict[int, int]:
        return {version: share for version, share in self._shares(found).items() if share}

    def _before(self, found: Object) -> int | None:
        """The version that has what the newest one does not have."""
        status = component(found)
        rolled_out = status.get("latestRolledoutRevision") or ""
        if self._version(rolled_out) == self._spec(found) and status.get("previousRolledoutRevision"):
            # All traffic was at the newest already; with 0% KServe goes back to the revision before.
            return self._version(status["previousRolledoutRevision"])
        return self._version(rolled_out)

    def _version(self, revision: str) -> int | None:
        """The version of a revision, which never changes."""
        if not revision:
            return None
        if revision not in self._versions:
            self._versions[revision] = version_of(self._revision(revision)["metadata"].get("annotations"))
        return self._versions[revision]

    def _revision(self, name: str) -> Object:
        found = self.site.cluster.get(REVISION, name)
        if found is None:
            raise UserError(f"the Knative revision {name} of {self.site.name} was deleted; deploy again")
        return found

    def _spec(self, found: Object | None) -> int | None:
        """The version that the spec names."""
        return version_of(found["spec"]["predictor"].get("annotations")) if found else None

    def _whole(self, current: Object | None, version: int) -> Object:
        if current is None or self._spec(current) != version:
            raise ChangedError(f"someone else changed the InferenceService {self.site.name} in the meantime")
        predictor = {k: v for k, v in current["spec"]["predictor"].items() if k != "canaryTrafficPercent"}
        return _with(current, predictor)

    def _await_newest(self, number: int) -> None:
        def look(found: Object | None) -> str | None:
            if self._spec(found) != number:
                raise ChangedError(f"someone else deployed another version to {self.site.name} in the meantime")
            status = component(found)
            created = status.get("latestCreatedRevision") or ""
            if self._version(created) != number:
                return None  # KServe has not seen the spec yet
            if status.get("latestReadyRevision") == created and number in self._shares(found) and is_ready(found):
                return ""
            ready = condition(found, "PredictorReady")
            # knative.dev: a revision that has failed does not become ready by itself.
            failed = ready.get("status") == "False" and created in (ready.get("message") or "")
            return failure(found) or (ready["message"] if failed else None)

        outcome = self.site.cluster.wait(INFERENCE_SERVICE, self.site.name, look, self.site.seconds)
        if outcome is None or outcome:
            raise not_loaded(number, self.site, outcome or "")

    def _await_ready(self, number: int) -> bool:
        def look(found: Object | None) -> bool | None:
            status = component(found)
            created = status.get("latestCreatedRevision") or ""
            return (self._version(created) == number and status.get("latestReadyRevision") == created) or None

        return bool(self.site.cluster.wait(INFERENCE_SERVICE, self.site.name, look, self.site.seconds))

    def _await(self, what: str, done: Callable[[Object | None], bool]) -> None:
        cluster, name = self.site.cluster, self.site.name
        if not cluster.wait(INFERENCE_SERVICE, name, lambda found: done(found) or None, ROUTE_SECONDS):
            found = self.site.service()
            why = condition(found, "Ready").get("message") or condition(found, "PredictorReady").get("message") or ""
            raise UserError(f"KServe did not {what} of {self.site.name} within {ROUTE_SECONDS:g} s: {why}".rstrip(": "))


def _with(found: Object, predictor: Object) -> Object:
    return {**found, "spec": {**found["spec"], "predictor": predictor}}
