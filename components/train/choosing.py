"""Choosing the options that are auto, from the corpus and the speed of training."""

import logging
import math
from pathlib import Path

from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Manifest
from seqline.components.train import formulas
from seqline.components.train.choices import Choice, Choices, choose_by_task
from seqline.components.train.options import Options
from seqline.components.train.recommend import recommend, recommend_start
from seqline.components.train.records import TrainingData
from seqline.components.train.scale import Scale, Speed
from seqline.modeling.config import TransformerConfig
from seqline.schema.auto import AUTO, number

log = logging.getLogger(__name__)


def choose_model(
    options: Options,
    data: TrainingData,
    speed: Speed,
    start: Path | None = None,
    earlier: Choices = Choices(),  # noqa: B008 (frozen)
) -> Choices:
    """Chooses what the model depends on.

    Args:
        options: Options of training.
        data: The corpus.
        speed: The speed of training.
        start: The checkpoint folder that training starts from, whose size the model gets; None for random weights.
        earlier: What an earlier process of this training chose, which stays.

    Returns:
        These, and the choices for pointer, positions, bucket_by, preset, batch_tokens, dropout and label_smoothing, as
        far as they are auto.
    """
    options = earlier.applied(options)
    scale = Scale.of(data.manifest)
    chosen = choose_by_task(options, scale.task, start)
    if not options.undecided:
        return earlier.with_more(chosen)
    allowed: float | None = None
    options = Choices(chosen).applied(options)
    if options.preset == AUTO:
        chosen["preset"], allowed = _preset(options, data.manifest, speed, start)
    preset = chosen["preset"].value if "preset" in chosen else options.preset
    if allowed is None:
        config = TransformerConfig.preset(preset, **{**options.weight_shape, "vocabulary_size": scale.vocabulary_size})
        sustained = speed.sustained(preset) if options.minutes else math.inf
        allowed = scale.passes(config, options.minutes, sustained, options)
    passes = min(float(options.epochs), allowed)
    seen = f"{scale.target_tokens:,} target tokens, {passes:.1f} passes"
    mean = scale.target_tokens / max(scale.pairs, 1)
    if options.batch_tokens == AUTO:
        sides = scale.source_tokens, scale.target_tokens
        tokens = passes * (sum(sides) if options.family == "gpt" else max(sides))
        chosen["batch_tokens"] = Choice(formulas.batch_tokens(tokens), f"{tokens:,.0f} tokens in the whole training")
    if options.dropout == AUTO:
        least, reason = (formulas.COPIES_DROPOUT, f"{seen}, r_drop") if options.r_drop else (0.0, seen)
        chosen["dropout"] = Choice(formulas.dropout(scale.target_tokens, passes, least), reason)
    if options.label_smoothing == AUTO:
        reason = f"{mean:.1f} target tokens in a pair, the end included"
        chosen["label_smoothing"] = Choice(formulas.label_smoothing(mean), reason)
    return Choices({**earlier.options, **chosen}, passes)


def _preset(options: Options, manifest: Manifest, speed: Speed, start: Path | None) -> tuple[Choice, float | None]:
    """The choice, and the passes that the time allows if they are known."""
    if start is not None and (preset := Checkpoint(start).read_config().preset):
        return Choice(preset, "the model of warm_start has this size"), None
    for line in recommend_start(manifest, options.minutes, speed.peak_flops, speed.memory):
        log.info("weights: %s", line)
    found = recommend(manifest, options.minutes, speed, options)
    return Choice(found.preset, "; ".join(found.reasons)), found.epochs


def choose_updates(
    options: Options,
    config: TransformerConfig,
    batches: int,
    batch_tokens: float,
    passes: float,
) -> dict[str, Choice]:
    """Chooses what the updates decide: their size and their number.

    Args:
        options: Options of training, with what `choose_model` has chosen.
        config: The model's configuration.
        batches: Batches in an epoch.
        batch_tokens: Target tokens in a batch, without padding.
        passes: Passes over the data of the whole training.

    Returns:
        The choices for learning_rate, beta_2, warmup_steps, ema_momentum and patience, as far as they are open.
    """
    chosen: dict[str, Choice] = {}
    tokens = batch_tokens * options.gradient_accumulation_steps
    size = f"{tokens:,.0f} target tokens in an update"
    if not options.learning_rate:
        reason = f"width {config.hidden_dim}, {size}"
        chosen["learning_rate"] = Choice(formulas.learning_rate(config.hidden_dim, tokens), reason)
    if options.beta_2 == AUTO:
        chosen["beta_2"] = Choice(formulas.beta_2(tokens), size)
    if not options.undecided:
        return chosen
    updates = passes * batches / options.gradient_accumulation_steps
    count = f"about {updates:,.0f} updates"
    if options.warmup_steps == AUTO:
        beta_2 = chosen["beta_2"].value if "beta_2" in chosen else number(options.beta_2)
        chosen["warmup_steps"] = Choice(formulas.warmup_steps(updates, beta_2), f"{count}, beta_2 {beta_2:g}")
    if options.ema_momentum == AUTO:
        chosen["ema_momentum"] = Choice(formulas.ema_momentum(updates), count)
    if options.patience == AUTO:
        chosen["patience"] = Choice(formulas.patience(passes), f"{passes:.1f} passes")
    return chosen
