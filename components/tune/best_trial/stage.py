"""The best_trial stage: reads what Vertex AI's hyperparameter tuning found, and writes it down as tune does."""

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqline.artifacts.tuning import METRIC, Trial, best_of, write_tuning
from seqline.components.tune.report import write_report
from seqline.components.tune.space import Hyperparameters, read_space
from seqline.errors import UserError
from seqline.vertex_api.clients import connect

__all__ = ["Hyperparameters", "best_trial", "read_job_name"]

log = logging.getLogger(__name__)

JOB = re.compile(r"(projects/[^/]+/locations/(?P<location>[^/]+)/hyperparameterTuningJobs/\d+)$")
STATES = {"SUCCEEDED": "succeeded", "STOPPED": "pruned"}


def best_trial(
    gcp_resources: str,
    tuning: Path,
    report: Path,
    space: Mapping[str, Any],
    start: Hyperparameters = Hyperparameters(),  # noqa: B008 (frozen)
    api_endpoint: str = "",
) -> tuple[Hyperparameters, float]:
    """Reads the trials of a hyperparameter tuning job. The output's layout is in `seqline.artifacts.tuning`.

    Args:
        gcp_resources: What `HyperparameterTuningJobRunOp` gives: JSON with the job's address.
        tuning: The folder to write.
        report: The HTML page to write.
        space: What was searched.
        start: The hyperparameters that were not searched.
        api_endpoint: Host of the Vertex API; empty for the region's own.

    Returns:
        All hyperparameters, with the best values of those that were searched; and the best trial's figure.

    Raises:
        UserError: If `gcp_resources` names no such job, or no trial ran to its end.
    """
    dimensions = read_space(space)
    job, location = read_job_name(gcp_resources)
    trials = [_trial(one, start) for one in _ask(job, location, api_endpoint)]
    best = best_of(trials)
    log.info("best of %d trials is %d: %.4f with %s", len(trials), best.number, best.value, json.dumps(best.parameters))
    write_tuning(tuning, trials)
    write_report(report, trials, dimensions)
    return start.with_values(best.parameters), float(best.value or 0.0)


def read_job_name(gcp_resources: str) -> tuple[str, str]:
    """Finds the job in what a task of google-cloud-pipeline-components gives.

    Args:
        gcp_resources: JSON: `{"resources": [{"resourceType", "resourceUri"}]}`.

    Returns:
        The job's resource name, and its location.

    Raises:
        UserError: If it names no hyperparameter tuning job.
    """
    try:
        addresses = [one["resourceUri"] for one in json.loads(gcp_resources)["resources"]]
    except (ValueError, KeyError, TypeError):
        addresses = []
    found = next(filter(None, map(JOB.search, addresses)), None)
    if found is None:
        raise UserError(f"gcp_resources names no hyperparameter tuning job: {gcp_resources!r}")
    return found[1], found["location"]


def _ask(job: str, location: str, api_endpoint: str) -> list[Any]:
    from google.cloud.aiplatform_v1 import JobServiceClient

    client = connect(JobServiceClient, location, api_endpoint)
    return list(client.get_hyperparameter_tuning_job(name=job).trials)


def _trial(trial: Any, start: Hyperparameters) -> Trial:
    """A trial of Vertex AI as one of ours."""
    values = {one.parameter_id: one.value for one in trial.parameters}
    typed = start.with_values(values)
    final = [metric.value for metric in trial.final_measurement.metrics if metric.metric_id == METRIC]
    epochs = {
        int(measurement.step_count): metric.value
        for measurement in trial.measurements
        for metric in measurement.metrics
        if metric.metric_id == METRIC
    }
    return Trial(
        number=int(trial.id),
        state=STATES.get(trial.state.name, "failed"),
        parameters={name: getattr(typed, name) for name in values},
        value=final[0] if final else None,
        epochs=epochs,
    )
