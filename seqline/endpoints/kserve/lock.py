"""A lock of an endpoint among deployments: a Lease, as Kubernetes' own controllers elect a leader.

The holder renews it; one that is not renewed for `SECONDS` is taken over. As in client-go's leaderelection.go, that
time is measured by the waiting process from the last change that it saw: clocks of two machines are not compared.
"""

import contextlib
import datetime
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

from seqline.endpoints.back_end import ChangedError
from seqline.endpoints.kserve.cluster import LEASE, Cluster, Object
from seqline.endpoints.kserve.record import SUFFIX
from seqline.errors import UserError

log = logging.getLogger(__name__)

SECONDS, RENEWAL, POLL = 60, 15.0, 2.0
# A deployment may take an hour on a cluster that adds a node with a GPU first.
LONGEST_WAIT = 4 * 3600.0


class _OthersError(UserError):
    """Someone else has the lock."""


@dataclass
class Lock:
    """The lock of one endpoint.

    Attributes:
        cluster: The namespace.
        name: The endpoint's name.
        holder: This process; it need not be unique on a machine.
    """

    cluster: Cluster
    name: str
    holder: str = field(default_factory=lambda: f"{socket.gethostname()}_{os.getpid()}_{uuid.uuid4().hex[:8]}")
    _lost: bool = False

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Waits for the lock and holds it.

        Raises:
            UserError: If someone else holds it for too long.
        """
        self._acquire()
        ended = threading.Event()
        renewing = threading.Thread(target=self._renew, args=[ended], daemon=True, name="lease")
        renewing.start()
        try:
            yield
        finally:
            ended.set()
            renewing.join()
            with contextlib.suppress(UserError):  # it expires by itself
                self._write(holder="")

    def require(self) -> None:
        """Checks that nobody has taken the lock over, because this process did not renew it in time.

        Raises:
            ChangedError: If somebody has.
        """
        if self._lost:
            raise ChangedError(
                f"another deployment to {self.name} has taken over, because this one did not renew its lock"
            )

    def _acquire(self) -> None:
        deadline = time.monotonic() + LONGEST_WAIT
        seen, since, announced = "", time.monotonic(), False
        while True:
            found = self.cluster.get(LEASE, self._lease)
            version = found["metadata"]["resourceVersion"] if found else ""
            if version != seen:
                seen, since = version, time.monotonic()
            other = _holder(found)
            if not other or time.monotonic() - since > _duration(found):
                with contextlib.suppress(_OthersError):
                    self._write(self.holder, only=version)
                    return
            if time.monotonic() > deadline:
                raise UserError(f"{other} has deployed to {self.name} for hours; stop it, or deploy again later")
            if not announced:
                log.info("another deployment to %s is running (%s); waiting for it", self.name, other)
                announced = True
            self.cluster.retries.sleep(POLL)

    def _renew(self, ended: threading.Event) -> None:
        last = time.monotonic()
        while not ended.wait(RENEWAL):
            try:
                self._write(self.holder)
                last = time.monotonic()
            except _OthersError:  # noqa: PERF203 (a call over the network is slower)
                self._lost = True
                return
            except UserError as error:
                log.warning("the lock of %s cannot be renewed: %s", self.name, error)
                self._lost = self._lost or time.monotonic() - last > SECONDS

    def _write(self, holder: str, only: str | None = None) -> None:
        """Writes the holder.

        Args:
            holder: The new one; empty to release the lock.
            only: The version of the lease to replace; by default one that this process holds.
        """

        def altered(found: Object | None) -> Object:
            mine = _holder(found) == self.holder
            version = found["metadata"]["resourceVersion"] if found else ""
            # After a lost answer the lease is this process's already.
            if not mine and version != only:
                raise _OthersError(f"{_holder(found) or 'nobody'} has the lock of {self.name}")
            made = found or {
                "apiVersion": LEASE.version,
                "kind": LEASE.name,
                "metadata": {"name": self._lease, "namespace": self.cluster.namespace},
            }
            time_now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds")
            moment = time_now.replace("+00:00", "Z")
            spec = {
                **made.get("spec", {}),
                "holderIdentity": holder,
                "leaseDurationSeconds": SECONDS,
                "renewTime": moment,
            }
            return {**made, "spec": spec if mine else {**spec, "acquireTime": moment}}

        self.cluster.change(LEASE, self._lease, altered)

    @property
    def _lease(self) -> str:
        return self.name + SUFFIX


def _holder(lease: Object | None) -> str:
    return str((lease or {}).get("spec", {}).get("holderIdentity") or "")


def _duration(lease: Object | None) -> float:
    return float((lease or {}).get("spec", {}).get("leaseDurationSeconds") or SECONDS)
