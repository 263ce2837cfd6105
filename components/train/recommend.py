"""Recommending a preset for a corpus and a time limit."""

from dataclasses import dataclass

from seqline.artifacts.corpus import Manifest
from seqline.components.train.flops import training_flops
from seqline.modeling.config import PRESETS, TransformerConfig

COPYING = ("summarization", "question_answering")
ORDER = ("big", "base", "small", "tiny", "demo")
TOKENS_PER_WEIGHT = 0.1
SUSTAINED = 0.35


@dataclass(frozen=True)
class Recommendation:
    """A preset with reasons.

    Attributes:
        preset: Its name.
        epochs: Passes over the data that the time limit allows; infinite without one.
        reasons: One sentence each.
    """

    preset: str
    epochs: float
    reasons: list[str]


def recommend(manifest: Manifest, minutes: float, peak_flops: float) -> Recommendation:
    """Recommends the largest preset that has enough data and enough time.

    Two rules, with values from practice: at least a tenth of a training token for each weight (`tiny` learns
    Multi30k's 0.8 million tokens well, `base` overfits them); and ten passes over the data, or twenty where outputs
    copy from the input, as in summaries and answers. The trainer sustains a third of the measured peak.

    Args:
        manifest: The corpus's manifest, which has the task.
        minutes: Training time; 0 for no limit.
        peak_flops: Peak of the devices in FLOP/s; see `matmul_peak`.

    Returns:
        The recommendation.
    """
    train = [shard for shard in manifest.shards if shard.file.startswith("train-")]
    source, target, pairs = (
        sum(getattr(shard, field) for shard in train) for field in ("source_tokens", "target_tokens", "records")
    )
    task = str(manifest.options["task"])
    needed = 20 if task in COPYING else 10
    reasons = [f"{pairs:,} training pairs with {source + target:,} tokens; {task} needs {needed} passes or more"]
    chosen, epochs = ORDER[-1], float("inf")
    for name in ORDER:
        config = TransformerConfig.preset(name, vocabulary_size=manifest.vocabulary_size)
        weights = weight_count(config)
        # The manifest does not count the ends of sentences.
        work = training_flops(config, source + pairs, target + pairs, pairs)
        epochs = minutes * 60 * SUSTAINED * peak_flops / work if minutes else float("inf")
        chosen = name
        if source + target < TOKENS_PER_WEIGHT * weights and name not in ORDER[-2:]:
            reasons.append(f"{name} is too large for the data: {weights:,} weights")
        elif epochs < needed and name != ORDER[-1]:
            reasons.append(f"{name} is too slow: {epochs:.1f} passes in {minutes:g} minutes")
        else:
            passes = f", {epochs:.1f} passes in {minutes:g} minutes" if minutes else ", and the time is not limited"
            reasons.append(f"{name} fits: {weights:,} weights{passes}")
            break
    return Recommendation(chosen, epochs, reasons)


def weight_count(config: TransformerConfig) -> int:
    """Counts a model's weights approximately: matrices and embeddings.

    Args:
        config: The model's configuration.
    """
    dim, matrices = config.hidden_dim, 3 if config.gated else 2
    attention = 2 * dim * config.head_size * (config.num_heads + config.kv_heads)
    layer = attention + matrices * dim * config.intermediate_dim
    cross = 0 if config.architecture == "gpt" else attention
    embeddings = config.vocabulary_size * dim * (1 if config.tied_embeddings else 2)
    return config.encoder_layers * layer + config.decoder_layers * (layer + cross) + embeddings


assert set(ORDER) == set(PRESETS)  # noqa: S101 (a new preset needs a position in the order)
