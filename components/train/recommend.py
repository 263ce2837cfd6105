"""Recommending a preset for a corpus and a time limit."""

from dataclasses import dataclass

from seqline.artifacts.corpus import Manifest
from seqline.components.train.options import Options
from seqline.components.train.scale import SUSTAINED, Scale, Speed
from seqline.modeling.config import PRESETS, TransformerConfig

FAMILIES = {"translation": "marian", "summarization": "t5", "question_answering": "llama", "text_generation": "llama"}
SMALLEST = {"marian": 77e6, "t5": 77e6, "llama": 135e6}
"""Weights of each family's smallest usual checkpoint: an OPUS-MT model, Flan-T5 small, SmolLM2."""
ENOUGH = 1_000_000
"""Training pairs from which on random weights are as good a start."""
FEW = 10_000
"""Training pairs below which changing all weights forgets more than it learns."""
FULL_BYTES, LORA_BYTES = 16, 5
"""Memory for each weight: in float32 weight, gradient and two moments; with LoRA the weight, and little else."""
ORDER = ("big", "base", "small", "tiny", "demo")
TOKENS_PER_WEIGHT = 0.25
"""Training tokens, of both sides, that a weight needs."""
USUAL_MINUTES = 60.0
"""Without a time limit, the time in which training should see its data as often as it needs."""
USUAL_PRESET = "tiny"
"""Without a time limit, the smallest preset."""


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


def recommend(
    manifest: Manifest,
    minutes: float,
    speed: Speed,
    options: Options = Options(),  # noqa: B008 (frozen)
) -> Recommendation:
    """Recommends the largest preset that has enough data and enough time.

    Two rules, with values from practice: at least a quarter of a training token for each weight (`tiny` learns
    Multi30k's 0.8 million tokens well, `base` overfits them), of which the two smallest presets are free; and ten
    passes over the data. Where outputs copy from the input, as in summaries and answers, the smallest presets need
    five, and larger ones twenty: a model learns to copy after a plateau. Without a time limit, these passes may take an
    hour.

    Args:
        manifest: The corpus's manifest, which has the task.
        minutes: Training time; 0 for no limit.
        speed: The speed of training.
        options: Other options of training.

    Returns:
        The recommendation.
    """
    scale = Scale.of(manifest)
    tokens = scale.source_tokens + scale.target_tokens
    reasons = [f"{scale.pairs:,} training pairs with {tokens:,} tokens"]
    smallest = ORDER[-1] if minutes else USUAL_PRESET
    time = f"{minutes:g} minutes" if minutes else "an hour"
    for name in ORDER[: ORDER.index(smallest) + 1]:
        config = TransformerConfig.preset(name, **{**options.weight_shape, "vocabulary_size": scale.vocabulary_size})
        weights = weight_count(config)
        if tokens < TOKENS_PER_WEIGHT * weights and name not in ORDER[-2:]:
            reasons.append(f"{name} is too large for the data: {weights:,} weights")
            continue
        sustained, needed = speed.sustained(name), scale.needed_passes(name)
        passes = scale.passes(config, minutes or USUAL_MINUTES, sustained, options)
        if sustained and passes >= needed:
            unlimited = "" if minutes else ", and the time is not limited"
            reasons.append(f"{name} fits: {weights:,} weights, {passes:.1f} passes in {time}{unlimited}")
            break
        if name == smallest:
            few = f"{passes:.1f} passes in {time}, fewer than the {needed} that {scale.task} needs"
            lack = few if sustained else "too large for the memory"
            reasons.append(f"{name} is the smallest: {weights:,} weights, {lack}")
        elif sustained:
            reasons.append(f"{name} is too slow: {passes:.1f} passes in {time}, and {scale.task} needs {needed}")
        else:
            reasons.append(f"{name} is too large for the memory: {weights:,} weights")
    return Recommendation(name, passes if minutes else float("inf"), reasons)


def recommend_start(manifest: Manifest, minutes: float, peak_flops: float, memory: float = 0.0) -> list[str]:
    """Recommends random or pretrained weights, and of these the family and the way of fine-tuning.

    Args:
        manifest: The corpus's manifest, which has the task.
        minutes: Training time; 0 for no limit.
        peak_flops: Peak of the devices in FLOP/s.
        memory: Of the device that trains, in bytes; 0 if it is not known.

    Returns:
        The recommendation and its reasons, one sentence each.
    """
    train = [shard for shard in manifest.shards if shard.file.startswith("train-")]
    pairs = sum(shard.records for shard in train)
    tokens = sum(shard.source_tokens + shard.target_tokens for shard in train)
    task = str(manifest.options["task"])
    family = FAMILIES[task]
    weights = SMALLEST[family]
    if pairs >= ENOUGH:
        return [f"start from random weights: {pairs:,} pairs are enough to learn {task} from scratch"]
    if memory and weights * LORA_BYTES > memory:
        return [f"start from random weights: the smallest {family} checkpoint does not fit into {memory / 1e9:.1f} GB"]
    # A pass forward and backward: 6 operations for each weight and token.
    passes = minutes * 60 * SUSTAINED * peak_flops / (6 * weights * max(tokens, 1)) if minutes else float("inf")
    if passes < 1:
        return [
            f"start from random weights: {minutes:g} minutes are {passes:.1f} passes over the corpus with the smallest "
            f"{family} checkpoint, and less than one teaches it little"
        ]
    found = [f"start from a {family} checkpoint (training.pretrained): {pairs:,} pairs are few for {task}"]
    lora, full = "train with LoRA (training.fine_tuning=lora)", "train all weights (training.fine_tuning=full)"
    needed = weights * FULL_BYTES
    if memory and needed > memory:
        return [*found, f"{lora}: all {weights / 1e6:.0f} million weights need {needed / 1e9:.1f} GB"]
    if family == "llama" and pairs < FEW:
        return [*found, f"{lora}: with {pairs:,} pairs, changing all weights forgets more than it learns"]
    if memory:
        return [*found, f"{full}: memory and pairs are enough"]
    return [*found, f"{full}: the pairs are enough, and it needs {needed / 1e9:.1f} GB of memory"]


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
