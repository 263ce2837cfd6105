"""Options of the train stage."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from seqline.errors import UserError
from seqline.modeling.config import CHOICES, PRESETS, unknown_preset

SHAPE = (
    "architecture",
    "norm_placement",
    "norm",
    "positions",
    "activation",
    "tied_embeddings",
    "dropout",
    "attention_dropout",
    "activation_dropout",
)
"""The options that are fields of the model's configuration too."""
MONITORS = ("loss", "perplexity", "accuracy", "bleu", "rouge_l")
DECODED = ("bleu", "rouge_l")
"""The monitors that need a decoded sample."""


@dataclass(frozen=True)
class Options:
    """Options of training.

    Attributes:
        architecture: transformer (encoder and decoder) or gpt (decoder only; the source is a prompt).
        preset: The model's size: demo, tiny, small, base, big, or auto: by the corpus and the minutes.
        norm_placement: Where blocks are normalized: pre or post.
        norm: How: rms or layer.
        positions: Position encoding: sinusoidal, learned or rotary.
        activation: Of the feed-forward blocks: relu, gelu, silu or swiglu.
        tied_embeddings: Whether the output layer shares the embedding's weights.
        epochs: Passes over the data, at most.
        minutes: Training time, at most; 0 for no limit.
        monitor: What tells the best epoch, on the validation pairs: loss, perplexity, accuracy, or of the decoded
            sample bleu or rouge_l.
        patience: Epochs without a better one before training stops; 0 for no limit.
        decoded_sample: Validation sentences decoded after every epoch for BLEU and ROUGE-L; 0 for none.
        batch_tokens: Target tokens in a batch, padding included.
        accumulate: Batches whose gradients are averaged before the weights change.
        decay: How the learning rate falls: inverse_square_root or cosine.
        learning_rate: The highest learning rate, reached after the warm-up.
        warmup_steps: Steps over which the learning rate rises.
        weight_decay: Share of the weights taken off at each step, times the learning rate (AdamW); 0 for Adam.
        clip_norm: Largest norm of the gradients; 0 for no limit.
        dropout: Share of activations dropped.
        attention_dropout: Share of attention weights dropped.
        activation_dropout: Share dropped inside the feed-forward blocks.
        label_smoothing: Share of the probability spread over the vocabulary.
        subword_sampling: Subword regularization, the smoothing by which other pieces are drawn in every epoch, such as
            0.1; 0 for none.
        average: Momentum of the moving average of the weights that are evaluated and kept; it starts low and rises
            with the steps. 0 for none.
        precision: float32, bfloat16 or auto: bfloat16 where the processor multiplies it natively.
        devices: auto, one, mirrored, workers (from TF_CONFIG) or tpu.
        xla: Whether the step is compiled: auto (on a TPU), on or off.
        seed: Decides initial weights, dropout and the order of the data.
    """

    architecture: str = "transformer"
    preset: str = "tiny"
    norm_placement: str = "pre"
    norm: str = "rms"
    positions: str = "sinusoidal"
    activation: str = "relu"
    tied_embeddings: bool = True
    epochs: int = 20
    minutes: float = 0.0
    monitor: str = "loss"
    patience: int = 5
    decoded_sample: int = 64
    batch_tokens: int = 4096
    accumulate: int = 1
    decay: str = "inverse_square_root"
    learning_rate: float = 0.002
    warmup_steps: int = 400
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    dropout: float = 0.1
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    label_smoothing: float = 0.1
    subword_sampling: float = 0.0
    average: float = 0.999
    precision: str = "auto"
    devices: str = "auto"
    xla: str = "auto"
    seed: int = 1

    def __post_init__(self) -> None:
        for name, least in (
            ("epochs", 1),
            ("minutes", 0),
            ("patience", 0),
            ("decoded_sample", 0),
            ("batch_tokens", 64),
            ("accumulate", 1),
            ("warmup_steps", 0),
            ("weight_decay", 0),
            ("clip_norm", 0),
        ):
            if getattr(self, name) < least:
                raise UserError(f"{name} must be at least {least}, not {getattr(self, name)}")
        for name in (
            "dropout",
            "attention_dropout",
            "activation_dropout",
            "label_smoothing",
            "subword_sampling",
            "average",
        ):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 0 and below 1, not {getattr(self, name)}")
        if self.learning_rate <= 0:
            raise UserError(f"learning_rate must be above 0, not {self.learning_rate}")
        for name, choices in (
            *CHOICES.items(),
            ("precision", ("auto", "float32", "bfloat16")),
            ("decay", ("inverse_square_root", "cosine")),
            ("devices", ("auto", "one", "mirrored", "workers", "tpu")),
            ("xla", ("auto", "on", "off")),
            ("monitor", MONITORS),
        ):
            if getattr(self, name) not in choices:
                raise UserError(
                    f"{name} must be {', '.join(choices[:-1])} or {choices[-1]}, not {getattr(self, name)!r}"
                )
        if self.preset not in (*PRESETS, "auto"):
            raise unknown_preset(self.preset)
        if self.monitor in DECODED and not self.decoded_sample:
            raise UserError(f"monitor {self.monitor} needs a decoded_sample of at least 1, not 0")

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Options":
        """Picks the options out of a component's arguments or a run's parameters.

        Args:
            given: Values by name; what is missing keeps its default.
        """
        return cls(**{field.name: given[field.name] for field in fields(cls) if field.name in given})

    def check_replicas(self, replicas: int) -> None:
        """Refuses what does not work with so many devices.

        Args:
            replicas: Devices that share a batch.

        Raises:
            UserError: If gradients are to be accumulated over several.
        """
        if self.accumulate > 1 and replicas > 1:
            # Keras 3.15 sums gradients over the replicas inside a condition, which TensorFlow does not trace.
            raise UserError(
                f"accumulate is {self.accumulate}, but {replicas} devices train, which cannot accumulate: "
                "leave accumulate out and raise batch_tokens, or set devices to one"
            )

    @property
    def shape(self) -> dict[str, Any]:
        """The options that are fields of the model's configuration too, by name."""
        return {name: getattr(self, name) for name in SHAPE}
