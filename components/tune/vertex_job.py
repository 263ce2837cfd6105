"""The stage `tune` as a hyperparameter tuning job of Vertex AI on many machines."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from seqline.components.tune.best_trial.component import best_trial
from seqline.components.tune.plan_trials.component import plan_trials

METRICS = [{"metric_id": "valid_loss", "goal": "MINIMIZE"}]
PARALLEL_TRIALS = 2
"""With more trials in parallel, the search learns less from each."""


@dataclass(frozen=True)
class Job:
    """The resources of the trials.

    Attributes:
        worker: The `WorkerPoolSpec` of a trial: machine, image and environment.
        location: The region.
        encryption_key: Customer-managed key; empty for none.
        service_account: Service account of the trials; empty for the project's default.
        network: Peered network; empty for none.
    """

    worker: dict[str, Any]
    location: str
    encryption_key: str = ""
    service_account: str = ""
    network: str = ""


def tune_as_job(job: Job, api_endpoint: str = "", image: Callable[[str], str] = str) -> Any:
    """Makes a component with the inputs and outputs of `tune` that searches with a job.

    Three tasks: `plan_trials` translates the search, `HyperparameterTuningJobRunOp` of
    google-cloud-pipeline-components runs it, `best_trial` reads its result. Command and search space are outputs of a
    task because they depend on parameters of the run, which texts inside a worker pool may not.

    Args:
        job: The resources of the trials.
        api_endpoint: Host of the Vertex API; empty for the region's own.
        image: Returns the address of an image by its name in a component.
    """
    from google_cloud_pipeline_components.v1.hyperparameter_tuning_job import HyperparameterTuningJobRunOp
    from kfp import dsl

    class Outputs(NamedTuple):
        training: dict

    @dsl.pipeline(name="tune")
    def tune(
        corpus: dsl.Input[dsl.Dataset],
        options: dict = {},  # noqa: B006 (KFP reads the default, nothing changes it)
        training: dict = {},  # noqa: B006
        warm_start: str = "",
        warm_start_fingerprint: str = "",
        checkpoints: str = "",
    ) -> Outputs:
        """Searches for the hyperparameters with the lowest validation loss, as a job of Vertex AI."""
        planned = plan_trials(
            corpus=corpus,
            worker=job.worker,
            options=options,
            training=training,
            warm_start=warm_start,
            warm_start_fingerprint=warm_start_fingerprint,
        )
        searched = HyperparameterTuningJobRunOp(
            display_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER,
            base_output_directory=f"{dsl.PIPELINE_ROOT_PLACEHOLDER}/{dsl.PIPELINE_JOB_NAME_PLACEHOLDER}/trials",
            worker_pool_specs=planned.outputs["worker_pool_specs"],
            study_spec_metrics=METRICS,
            study_spec_parameters=planned.outputs["parameters"],
            max_trial_count=planned.outputs["trials"],
            parallel_trial_count=PARALLEL_TRIALS,
            location=job.location,
            encryption_spec_key_name=job.encryption_key,
            service_account=job.service_account,
            network=job.network,
        )
        best = best_trial(
            gcp_resources=searched.outputs["gcp_resources"],
            options=options,
            training=training,
            api_endpoint=api_endpoint,
        )
        for task in (planned, best):
            task.set_container_image(image(task.container_spec.image))
        return Outputs(training=best.outputs["training"])

    return tune
