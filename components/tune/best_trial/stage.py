"""The best_trial stage: reads the result of Vertex AI's hyperparameter tuning and writes the output of tune."""

import json
import logging
import re
from pathlib import Path
from typing import Any

from seqline.artifacts.tuning import METRIC, Trial, best_of, write_tuning
from seqline.components.train.options import Options as Training
from seqline.components.tune.options import Options
from seqline.components.tune.report import write_report
from seqline.components.tune.space import apply, read_space
from seqline.errors import UserError
from seqline.vertex_api.clients import connect

log = logging.getLogger(__name__)

JOB = re.compile(r"(projects/[^/]+/locations/(?P<location>[^/]+)/hyperparameterTuningJobs/\d+)$")
STATES = {"SUCCEEDED": "succeeded", "STOPPED": "pruned"}


def best_trial(
    gcp_resources: str,
    tuning: Path,
    report: Path,
    options: Options = Options(),  # noqa: B008 (frozen)
    training: Training = Training(preset=Training.FIXED_PRESET),  # noqa: B008 (frozen)
    api_endpoint: str = "",
) -> tuple[Training, float]:
    """Reads the trials of a hyperparameter tuning job. The output's layout is in `seqline.artifacts.tuning`.

    Args:
        gcp_resources: The output of `HyperparameterTuningJobRunOp`: JSON with the job's address.
        tuning: The folder to write.
        report: The HTML page to write.
        options: Search space and budget.
        training: Training options where they were not searched.
        api_endpoint: Host of the Vertex API; empty for the region's own.

    Returns:
        The training options with the best values, and the best trial's loss.

    Raises:
        UserError: If `gcp_resources` names no such job, or no trial finished.
    """
    dimensions = read_space(options.space, training)
    job, location = read_job_name(gcp_resources)
    trials = [_trial(one, training) for one in _trials_of(job, location, api_endpoint)]
    best = best_of(trials)
    log.info("best of %d trials is %d: %.4f with %s", len(trials), best.number, best.value, json.dumps(best.parameters))
    write_tuning(tuning, trials, "" if training.pretrained else training.preset)
    write_report(report, trials, dimensions)
    return apply(training, best.parameters), float(best.value or 0.0)


def read_job_name(gcp_resources: str) -> tuple[str, str]:
    """Finds the job in the output of a task of google-cloud-pipeline-components.

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
        raise UserError(f"gcp_resources does not name a hyperparameter tuning job: {gcp_resources!r}")
    return found[1], found["location"]


def _trials_of(job: str, location: str, api_endpoint: str) -> list[Any]:
    from google.cloud.aiplatform_v1 import JobServiceClient

    client = connect(JobServiceClient, location, api_endpoint)
    return list(client.get_hyperparameter_tuning_job(name=job).trials)


def _trial(trial: Any, training: Training) -> Trial:
    """Converts a trial of Vertex AI."""
    values = {one.parameter_id: one.value for one in trial.parameters}
    typed = apply(training, values)
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
