"""Tuning on Vertex AI: the stage `tune` as a hyperparameter tuning job of many machines."""

from typing import Any, NamedTuple

from seqline.components.train.component import train
from seqline.components.tune.best_trial.component import best_trial
from seqline.components.tune.plan_trials.component import plan_trials
from seqline.configuration.images import Images
from seqline.configuration.vertex import TrainingJob, VertexTarget
from seqline.targets.vertex.worker_pools import worker_pools

METRICS = [{"metric_id": "valid_loss", "goal": "MINIMIZE"}]
PARALLEL_TRIALS = 2
"""The more at the same time, the less each learns from the others."""


def worker_of(job: TrainingJob, images: Images) -> dict[str, Any]:
    """The machine and the image of a trial: those of a training with one replica.

    Args:
        job: What the configuration says about training.
        images: Where the images are.
    """
    written = train.component_spec.implementation.container.image
    image = images.reference(written if job.tpu is None else written.replace("/train:", "/train-tpu:"))
    (pool,) = worker_pools(job.model_copy(update={"replicas": 1}), {"image_uri": image})
    return pool


def tune_as_job(job: TrainingJob, target: VertexTarget, images: Images) -> Any:
    """Makes what takes the place of `tune` in the tuning pipeline: the same inputs and outputs, another search.

    Three tasks: `plan_trials` writes the search down, `HyperparameterTuningJobRunOp` of
    google-cloud-pipeline-components runs it, `best_trial` reads what it found. What a trial runs and what is searched
    are outputs of a task, and so may depend on parameters of the run, which the texts inside a worker pool may not.

    Args:
        job: What the configuration says about training.
        target: And about Vertex.
        images: Where the images are.
    """
    from google_cloud_pipeline_components.v1.hyperparameter_tuning_job import HyperparameterTuningJobRunOp
    from kfp import dsl

    class Outputs(NamedTuple):
        preset: str
        batch_tokens: int
        learning_rate: float
        warmup_steps: int
        dropout: float
        label_smoothing: float
        average: float

    worker = worker_of(job, images)

    @dsl.pipeline(name="tune")
    def tune(
        corpus: dsl.Input[dsl.Dataset],
        space: dict,
        trials: int = 20,
        trial_epochs: int = 5,
        trial_minutes: float = 0.0,
        architecture: str = "transformer",
        preset: str = "tiny",
        norm_placement: str = "pre",
        norm: str = "rms",
        positions: str = "sinusoidal",
        activation: str = "relu",
        tied_embeddings: bool = True,
        batch_tokens: int = 4096,
        accumulate: int = 1,
        decay: str = "inverse_square_root",
        learning_rate: float = 0.002,
        warmup_steps: int = 400,
        weight_decay: float = 0.0,
        clip_norm: float = 1.0,
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
        activation_dropout: float = 0.0,
        label_smoothing: float = 0.1,
        subword_sampling: float = 0.0,
        average: float = 0.999,
        precision: str = "auto",
        devices: str = "auto",
        xla: str = "auto",
        seed: int = 1,
        warm_start: str = "",
        checkpoints: str = "",
    ) -> Outputs:
        """Searches for the hyperparameters with the least validation loss, as a job of Vertex AI."""
        start = {
            "preset": preset,
            "batch_tokens": batch_tokens,
            "learning_rate": learning_rate,
            "warmup_steps": warmup_steps,
            "dropout": dropout,
            "label_smoothing": label_smoothing,
            "average": average,
        }
        planned = plan_trials(
            corpus=corpus,
            space=space,
            worker=worker,
            trial_epochs=trial_epochs,
            trial_minutes=trial_minutes,
            architecture=architecture,
            norm_placement=norm_placement,
            norm=norm,
            positions=positions,
            activation=activation,
            tied_embeddings=tied_embeddings,
            accumulate=accumulate,
            decay=decay,
            weight_decay=weight_decay,
            clip_norm=clip_norm,
            attention_dropout=attention_dropout,
            activation_dropout=activation_dropout,
            subword_sampling=subword_sampling,
            precision=precision,
            devices=devices,
            xla=xla,
            seed=seed,
            warm_start=warm_start,
            **start,
        )
        searched = HyperparameterTuningJobRunOp(
            display_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER,
            base_output_directory=f"{dsl.PIPELINE_ROOT_PLACEHOLDER}/{dsl.PIPELINE_JOB_NAME_PLACEHOLDER}/trials",
            worker_pool_specs=planned.outputs["worker_pool_specs"],
            study_spec_metrics=METRICS,
            study_spec_parameters=planned.outputs["parameters"],
            max_trial_count=trials,
            parallel_trial_count=PARALLEL_TRIALS,
            location=target.location,
            encryption_spec_key_name=target.encryption_key,
            service_account=target.service_account,
            network=target.network,
        )
        best = best_trial(
            gcp_resources=searched.outputs["gcp_resources"],
            space=space,
            api_endpoint=target.api_address,
            **start,
        )
        for task in (planned, best):
            task.set_container_image(images.reference(task.container_spec.image))
        return Outputs(**{name: best.outputs[name] for name in start})

    return tune
