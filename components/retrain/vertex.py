"""Starts a run on Vertex AI, with the settings of the run of monitoring."""

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from seqline.artifacts.retraining import Attempt
from seqline.components.retrain.options import Options
from seqline.errors import UserError
from seqline.inputs.storage import fsspec
from seqline.schema.options import whole_numbers
from seqline.vertex_api.clients import connect
from seqline.vertex_api.errors import transient_errors
from seqline.vertex_api.retries import Retries
from seqline.vertex_api.run_page import page_of

log = logging.getLogger(__name__)

RUN = re.compile(r"(projects/[^/]+/locations/([a-z0-9-]+))/pipelineJobs/[^/]+")
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
# A value of a label has at most 63 characters: https://cloud.google.com/resource-manager/docs/labels-overview.
LABEL = "seqline-retraining"
ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")


class Vertex:
    """Pipeline jobs of the project and region of a run.

    Args:
        run: The run of monitoring, projects/P/locations/L/pipelineJobs/ID.
        api_endpoint: Host of the Vertex API; empty for the region's own.
        sleep: Waits some seconds.
    """

    def __init__(self, run: str, api_endpoint: str = "", sleep: Callable[[float], None] = time.sleep) -> None:
        from google.cloud.aiplatform_v1 import PipelineServiceClient

        named = RUN.fullmatch(run)
        if not named:
            raise UserError(f"run: {run!r} is not projects/P/locations/L/pipelineJobs/ID")
        self.own, self.parent = run, named[1]
        self.client = connect(PipelineServiceClient, named[2], api_endpoint)
        self.retries = Retries(PAUSES, _explained, _transient, _exists, sleep)

    def start(self, attempt: Attempt, options: Options) -> Attempt:
        """Starts the run; its id is the attempt's, so a repeated request starts no second one."""

        def create() -> Any:
            return self.client.create_pipeline_job(
                parent=self.parent, pipeline_job=self._job(attempt, options), pipeline_job_id=attempt.run
            )

        self.retries.write(f"start the run {attempt.run}", lambda: self._find(attempt.run), create)
        log.info("the run %s was started", attempt.run)
        return attempt

    def runs(self, attempt: Attempt) -> bool:
        """Whether the job has not ended; one that the service does not know was never started."""
        found = self._read(attempt)
        return found is not None and not found.state.name.endswith(ENDED)

    def knows(self, attempt: Attempt) -> bool:
        """Whether the service has the job."""
        return self._read(attempt) is not None

    def where(self, attempt: Attempt) -> str:
        """The run's page in the console."""
        return f": {page_of(f'{self.parent}/pipelineJobs/{attempt.run}')}"

    def _read(self, attempt: Attempt) -> Any:
        return self.retries.read(f"look up the run {attempt.run}", lambda: self._find(attempt.run))

    def _find(self, id_: str) -> Any:
        from google.api_core.exceptions import NotFound

        try:
            return self.client.get_pipeline_job(name=f"{self.parent}/pipelineJobs/{id_}")
        except NotFound:
            return None

    def _job(self, attempt: Attempt, options: Options) -> Any:
        """The request: with the account, network, key, labels and bucket of this run."""
        import yaml
        from google.cloud.aiplatform_v1 import PipelineJob

        own = self.client.get_pipeline_job(name=self.own)
        values = {**whole_numbers(dict(options.parameters)), "reason": attempt.reason}
        job = PipelineJob(
            display_name=attempt.run,
            labels={**dict(own.labels), LABEL: str(attempt.number)},
            runtime_config=PipelineJob.RuntimeConfig(
                gcs_output_directory=own.runtime_config.gcs_output_directory, parameter_values=values
            ),
            service_account=own.service_account,
            network=own.network,
            reserved_ip_ranges=list(own.reserved_ip_ranges),
        )
        if own.encryption_spec:
            job.encryption_spec = own.encryption_spec
        if own.psc_interface_config:
            job.psc_interface_config = own.psc_interface_config
        if options.template.startswith("gs://"):
            with fsspec.open(options.template, "r", encoding="utf-8") as file:
                job.pipeline_spec = yaml.safe_load(file.read())
        else:
            # Vertex downloads the spec itself: `PipelineJob.template_uri` of google.cloud.aiplatform_v1.
            job.template_uri = options.template
        return job


@contextmanager
def _explained(what: str) -> Iterator[None]:
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except (GoogleAPIError, GoogleAuthError, *transient_errors()) as error:
        message = re.sub(r"^[A-Z]+ \S+: ", "", str(getattr(error, "message", "") or error or type(error).__name__))
        raise UserError(f"cannot {what}: {message}") from None


def _transient(error: Exception) -> bool:
    return isinstance(error, transient_errors())


def _exists(error: Exception) -> bool:
    from google.api_core.exceptions import AlreadyExists, Conflict

    return isinstance(error, (AlreadyExists, Conflict))
