"""The experiment stage: enters a run on Vertex AI into an Experiment.

An Experiment is a context in Vertex ML Metadata, and so is a run. Vertex records a run's parameters and its tasks'
metrics itself; the run appears in the Experiment as soon as its context is a child of the Experiment's. This is what
`PipelineJob.submit(experiment=...)` of google-cloud-aiplatform does, but from within the run, so that scheduled runs
and those started in the console have their place too.
"""

import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from seqline.errors import UserError
from seqline.vertex_api.clients import connect

log = logging.getLogger(__name__)

RUN = re.compile(r"(projects/[^/]+/locations/([a-z0-9-]+))/pipelineJobs/[^/]+")
# Looks at the run until Vertex has created its context, and seconds between them.
LOOKS, PAUSE = 60, 5.0


def enter(
    name: str,
    run: str,
    labels: Mapping[str, str],
    api_endpoint: str = "",
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Makes a run a child of an Experiment, which is created if there is none.

    A run is worth more than its place in a list: what fails here is logged, and the run goes on.

    Args:
        name: The Experiment's id.
        run: The run, projects/P/locations/L/pipelineJobs/ID.
        labels: Labels of a new Experiment.
        api_endpoint: Host of the Vertex API; empty for the region's own.
        sleep: Waits some seconds.

    Returns:
        Whether the run is in the Experiment.

    Raises:
        UserError: If the run's name has another form.
    """
    from google.api_core.exceptions import GoogleAPIError
    from google.cloud.aiplatform_v1 import MetadataServiceClient, PipelineServiceClient

    named = RUN.fullmatch(run)
    if not named:
        raise UserError(f"run: {run!r} is not projects/P/locations/L/pipelineJobs/ID")
    parent, location = named.groups()
    try:
        metadata = connect(MetadataServiceClient, location, api_endpoint)
        context = _context_of(connect(PipelineServiceClient, location, api_endpoint), run, sleep)
        experiment = _experiment(metadata, f"{parent}/metadataStores/default", name, labels)
        metadata.add_context_children(request={"context": experiment, "child_contexts": [context]})
    except (GoogleAPIError, UserError) as error:
        log.warning("the run is not in the experiment %s: %s", name, error)
        return False
    log.info("the run is in the experiment %s", name)
    return True


def _context_of(client: Any, run: str, sleep: Callable[[float], None]) -> str:
    """The context of a run; Vertex creates it while the first tasks start."""
    for look in range(LOOKS):
        found = str(client.get_pipeline_job(name=run).job_detail.pipeline_run_context.name)
        if found:
            return found
        if look < LOOKS - 1:
            sleep(PAUSE)
    raise UserError(f"Vertex ML Metadata has no context of {run} after {LOOKS * PAUSE:g} s")


def _experiment(client: Any, store: str, name: str, labels: Mapping[str, str]) -> str:
    """The name of an Experiment's context."""
    from google.api_core.exceptions import AlreadyExists, Conflict, NotFound

    full = f"{store}/contexts/{name}"
    try:
        found = client.get_context(name=full)
    except NotFound:
        context = {
            "display_name": name,
            "labels": dict(labels),
            "schema_title": "system.Experiment",
            "schema_version": "0.0.1",
            "metadata": {"experiment_deleted": False},
        }
        try:
            found = client.create_context(request={"parent": store, "context": context, "context_id": name})
        except (AlreadyExists, Conflict):  # another run was faster
            found = client.get_context(name=full)
    if found.schema_title != "system.Experiment":
        raise UserError(f"{full} is not an Experiment, but of the type {found.schema_title}; choose another name")
    return str(found.name)
