"""Starts a run on Kubeflow Pipelines, from within its cluster."""

import contextlib
import io
import json
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

from seqline.artifacts.retraining import Attempt
from seqline.components.retrain.options import Options
from seqline.errors import UserError
from seqline.inputs.kfp_launcher import NAMESPACE
from seqline.vertex_api.retries import Retries

log = logging.getLogger(__name__)

SCHEME = "kfp://"
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
UNAVAILABLE = {429, 502, 503, 504}
ENDED = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED", "CACHED")
EXPERIMENT = "seqline"
# Runs that are looked through for a name.
NEWEST = 100


class Kubeflow:
    """The Kubeflow Pipelines API of the cluster.

    Args:
        host: Its address; empty for the one that kfp finds in a cluster.
        sleep: Waits some seconds.
    """

    def __init__(self, host: str = "", sleep: Callable[[float], None] = time.sleep) -> None:
        self.host = host
        self.retries = Retries(PAUSES, _explained, _transient, sleep=sleep)

    @cached_property
    def client(self) -> Any:
        """Kfp's client, which finds the API in the cluster and the token of the pod."""
        from kfp.client import Client

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Client(host=self.host or None)

    @cached_property
    def namespace(self) -> str | None:
        """The pod's namespace, of a server with several users; None for one that has none."""
        if not self.client.get_kfp_healthz().multi_user:
            return None
        return NAMESPACE.read_text(encoding="utf-8").strip() if NAMESPACE.is_file() else None

    def start(self, attempt: Attempt, options: Options) -> Attempt:
        """Starts the run; it is looked up by its name before every attempt."""
        pipeline, _, version = options.template.removeprefix(SCHEME).partition("/")
        values = {**options.parameters, "reason": attempt.reason}

        def create() -> Any:
            experiment = self._quiet(lambda client: client.create_experiment(EXPERIMENT, namespace=self.namespace))
            return self._quiet(
                lambda client: client.run_pipeline(
                    experiment.experiment_id, attempt.run, params=values, pipeline_id=pipeline, version_id=version
                )
            )

        found = self.retries.write(f"start the run {attempt.run}", lambda: self._find(attempt), create)
        log.info("the run %s was started: %s", attempt.run, found.run_id)
        return replace(attempt, id=found.run_id)

    def runs(self, attempt: Attempt) -> bool:
        """Whether the run has not ended; one that the server does not know was never started."""
        found = self._read(attempt)
        return found is not None and (found.state or "PENDING") not in ENDED

    def knows(self, attempt: Attempt) -> bool:
        """Whether the server has the run."""
        return self._read(attempt) is not None

    def where(self, attempt: Attempt) -> str:
        """The run's id, because the address of the page is not known in the cluster."""
        return f"; its id is {attempt.id}"

    def _read(self, attempt: Attempt) -> Any:
        return self.retries.read(f"look up the run {attempt.run}", lambda: self._find(attempt))

    def _find(self, attempt: Attempt) -> Any:
        def look(client: Any) -> Any:
            if attempt.id:
                return client.get_run(attempt.id)
            page = client.list_runs(page_size=NEWEST, sort_by="created_at desc", namespace=self.namespace)
            return next((one for one in page.runs or [] if one.display_name == attempt.run), None)

        try:
            return self._quiet(look)
        except Exception as error:
            if getattr(error, "status", None) == 404:
                return None
            raise

    def _quiet(self, call: Callable[[Any], Any]) -> Any:
        """Calls without the links that kfp prints."""
        with contextlib.redirect_stdout(io.StringIO()):
            return call(self.client)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    from kfp_server_api import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except (ApiException, HTTPError, OSError) as error:
        message = _answer(error) or getattr(error, "reason", "") or error or type(error).__name__
        raise UserError(f"cannot {what}: Kubeflow Pipelines returned: {message}") from None


def _answer(error: Exception) -> str:
    """What the server says is wrong; empty if it says nothing."""
    try:
        content = json.loads(getattr(error, "body", "") or "")
    except ValueError:
        return ""
    return str(content.get("message") or content.get("error") or "") if isinstance(content, dict) else ""


def _transient(error: Exception) -> bool:
    from urllib3.exceptions import HTTPError

    return isinstance(error, (HTTPError, OSError)) or getattr(error, "status", None) in UNAVAILABLE
