"""The shape of a model, as data."""

import dataclasses
import difflib
from dataclasses import dataclass
from typing import Any

from seqline.errors import UserError

CHOICES = {
    "architecture": ("transformer", "gpt"),
    "norm_placement": ("pre", "post"),
    "norm": ("rms", "layer"),
    "positions": ("sinusoidal", "learned", "rotary"),
    "activation": ("relu", "gelu", "silu", "swiglu"),
}
"""What the options that are names can be; the first of each is the default."""


@dataclass(frozen=True)
class TransformerConfig:
    """The constructor arguments of a model, under the names used everywhere.

    Attributes:
        vocabulary_size: Number of pieces in the joint vocabulary.
        architecture: transformer (encoder and decoder) or gpt (one decoder; the source is a prompt).
        encoder_layers: Layers of the encoder; gpt has none.
        decoder_layers: Layers of the decoder.
        width: Size of the hidden states (d_model).
        feed_forward: Inner size of the feed-forward blocks (d_ff).
        heads: Attention heads; must divide `width`.
        norm_placement: pre (before each block, Xiong et al. 2020) or post (after it, Vaswani et al. 2017).
        norm: rms (Zhang and Sennrich 2019) or layer (Ba et al. 2016).
        positions: sinusoidal, learned or rotary (Su et al. 2021).
        activation: relu, gelu, silu, or swiglu (Shazeer 2020: a gate, with a third matrix).
        tied_embeddings: Whether the output layer is the embedding (Press and Wolf 2017).
        dropout: Share of the activations dropped where a block ends, and of the embeddings.
        attention_dropout: Share of the attention weights dropped.
        activation_dropout: Share dropped inside the feed-forward blocks.
        max_length: Longest sequence in pieces, end of sentence included; of a gpt, source and target together.
        pad_id: Piece that fills up; never attended to.
        unk_id: Piece that stands for the unknown.
        bos_id: Piece that starts every target.
        eos_id: Piece that ends every source and target.
    """

    vocabulary_size: int
    architecture: str = "transformer"
    encoder_layers: int = 4
    decoder_layers: int = 4
    width: int = 128
    feed_forward: int = 256
    heads: int = 4
    norm_placement: str = "pre"
    norm: str = "rms"
    positions: str = "sinusoidal"
    activation: str = "relu"
    tied_embeddings: bool = True
    dropout: float = 0.1
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    max_length: int = 128
    pad_id: int = 0
    unk_id: int = 1
    bos_id: int = 2
    eos_id: int = 3

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise UserError(f"{name} must be one of {', '.join(choices)}, not {getattr(self, name)!r}")
        for name in ("vocabulary_size", "decoder_layers", "width", "feed_forward", "heads", "max_length"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, not {getattr(self, name)}")
        if (self.encoder_layers < 1) != (self.architecture == "gpt"):
            raise UserError(f"encoder_layers {self.encoder_layers} does not fit architecture {self.architecture}")
        if self.width % (2 * self.heads):
            raise UserError(f"width {self.width} must be a multiple of twice heads ({self.heads})")
        for name in ("dropout", "attention_dropout", "activation_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 0 and below 1, not {getattr(self, name)}")

    @classmethod
    def preset(cls, name: str, **rest: Any) -> "TransformerConfig":
        """Returns a configuration of a known size.

        A gpt has the preset's encoder and decoder layers in one stack.

        Args:
            name: A key of `PRESETS`.
            **rest: The remaining fields, and any that differ from the preset.

        Raises:
            UserError: If there is no preset of that name.
        """
        if name not in PRESETS:
            raise unknown_preset(name)
        size = dict(PRESETS[name])
        if rest.get("architecture") == "gpt":
            size.update(decoder_layers=size["encoder_layers"] + size["decoder_layers"], encoder_layers=0)
        return cls(**{**size, **rest})

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "TransformerConfig":
        """Returns the configuration that `to_dict` described.

        Args:
            fields: The fields by name.

        Raises:
            UserError: If a field is unknown.
        """
        unknown = set(fields) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise UserError(f"the model's configuration has unknown fields: {', '.join(sorted(unknown))}")
        return cls(**fields)


def unknown_preset(name: str) -> UserError:
    """The error that says which presets there are, or which is near.

    Args:
        name: What was given.
    """
    close = difflib.get_close_matches(name, PRESETS, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(PRESETS)}"
    return UserError(f"preset: there is no preset {name!r}; {hint}")


def _sizes(encoder: int, decoder: int, width: int, feed_forward: int, heads: int) -> dict[str, Any]:
    return {
        "encoder_layers": encoder,
        "decoder_layers": decoder,
        "width": width,
        "feed_forward": feed_forward,
        "heads": heads,
    }


# `base` and `big` are the two models of Vaswani et al. 2017, table 3.
PRESETS = {
    "demo": _sizes(2, 2, 128, 256, 4),
    "tiny": _sizes(4, 4, 128, 256, 4),
    "small": _sizes(3, 3, 256, 1024, 4),
    "base": _sizes(6, 6, 512, 2048, 8),
    "big": _sizes(6, 6, 1024, 4096, 16),
}
