"""Building the model and its trainer."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from seqline.artifacts.checkpoint import Checkpoint
from seqline.components.train.detokenizer import Detokenizer
from seqline.components.train.flops import training_flops
from seqline.components.train.hardware import Hardware
from seqline.components.train.objective import TrainingModel, make_training_model
from seqline.components.train.parts import batch_parts
from seqline.components.train.plan import Plan
from seqline.components.train.precision import precision
from seqline.components.train.sample import Sample, names_of
from seqline.components.train.subwords import SampledBatches, Subwords
from seqline.components.train.trainer import Trainer
from seqline.components.train.warm_start import start_from
from seqline.components.train.working_state import WorkingState
from seqline.pretrained.checkpoint import Pretrained
from seqline.pretrained.loading import load_weights


def build_model(
    plan: Plan, hardware: Hardware, strategy: Any, warm_start: Path | None, pretrained: Pretrained | None = None
) -> TrainingModel:
    """Builds the compiled model; sets Keras's global seed.

    Args:
        plan: Model configuration and batches.
        hardware: The devices.
        strategy: From `choose_strategy`.
        warm_start: The checkpoint folder to start from; None for none.
        pretrained: The checkpoint in Hugging Face's format to start from; None for none. Without both, the weights are
            random.

    Raises:
        UserError: If the weights of `warm_start` do not fit, or those of `pretrained` cannot be read.
    """
    options = plan.options
    keras.utils.set_random_seed(options.seed)
    compiled = options.xla == "on" or (options.xla == "auto" and bool(tf.config.list_logical_devices("TPU")))

    def load(model: TrainingModel) -> None:
        if warm_start:
            start_from(Checkpoint(warm_start), model, plan.config, plan.data.corpus, options.preset)
        if pretrained:
            load_weights(model.model, pretrained)

    parts = batch_parts(plan.config, hardware.replicas, compiled)
    with strategy.scope(), precision(hardware.precision):
        return make_training_model(plan.config, options, compiled, load, parts)


def build_trainer(model: TrainingModel, plan: Plan, hardware: Hardware, state: WorkingState, chief: bool) -> Trainer:
    """Builds the trainer, with subword regularization and the decoded sample as the options request.

    Args:
        model: The compiled model.
        plan: Model configuration and batches.
        hardware: The devices.
        state: The working state.
        chief: Whether this process writes.
    """
    options, data = plan.options, plan.data
    table = data.train.table
    source_tokens = float(table.source_tokens + table.pairs)
    flops = training_flops(plan.config, source_tokens, plan.train.tokens, table.pairs, options)
    sample = None
    if options.decoded_sample:
        sample = Sample(
            data.valid,
            model.model,
            Detokenizer(data.corpus.tokenizer),
            data.manifest.target_language,
            names_of(str(data.manifest.options["task"]), options.monitor),
            options.decoded_sample,
            flops,
            at_once=model.parts,
        )
    return Trainer(
        model,
        plan.train,
        plan.valid,
        state,
        options,
        resample=_resampled_batches(plan),
        sample=sample,
        logs=os.environ.get("AIP_TENSORBOARD_LOG_DIR", ""),
        flops_per_token=flops / plan.train.tokens,
        peak_flops=hardware.peak_flops,
        choices=plan.choices,
        chief=chief,
    )


def _resampled_batches(plan: Plan) -> Callable[[Sequence[int]], SampledBatches] | None:
    """Returns the function that makes an epoch's training batches with subword regularization; None without it.

    Args:
        plan: The plan; the new batches have the shapes of its training batches.
    """
    options, data = plan.options, plan.data
    if not options.subword_sampling:
        return None
    subwords = Subwords(data.corpus.tokenizer, data.train.table, options.subword_sampling)
    return partial(SampledBatches, plan.train, subwords)
