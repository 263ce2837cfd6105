"""The shape of a Transformer, as data."""

import dataclasses
import difflib
from dataclasses import dataclass
from typing import Any

from components.errors import UserError


@dataclass(frozen=True)
class TransformerConfig:
    """The constructor arguments of `Transformer`, under the names used everywhere.

    Attributes:
        vocabulary_size: Number of pieces in the joint vocabulary.
        encoder_layers: Layers of the encoder.
        decoder_layers: Layers of the decoder.
        width: Size of the hidden states (d_model).
        feed_forward: Inner size of the feed-forward blocks (d_ff).
        heads: Attention heads; must divide `width`.
        dropout: Share of activations dropped in training.
        max_length: Longest sequence in pieces, end of sentence included.
        pad_id: Piece that fills up; never attended to.
        unk_id: Piece that stands for the unknown.
        bos_id: Piece that starts every target.
        eos_id: Piece that ends every source and target.
    """

    vocabulary_size: int
    encoder_layers: int = 4
    decoder_layers: int = 4
    width: int = 128
    feed_forward: int = 256
    heads: int = 4
    dropout: float = 0.1
    max_length: int = 128
    pad_id: int = 0
    unk_id: int = 1
    bos_id: int = 2
    eos_id: int = 3

    def __post_init__(self) -> None:
        positive = ("vocabulary_size", "encoder_layers", "decoder_layers", "width", "feed_forward", "heads")
        for name in (*positive, "max_length"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.width % (2 * self.heads):
            raise UserError(f"width {self.width} must be a multiple of twice heads ({self.heads})")
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout must be at least 0 and below 1, not {self.dropout}")

    @classmethod
    def preset(cls, name: str, **rest: Any) -> "TransformerConfig":
        """Returns a configuration of a known size.

        Args:
            name: A key of `PRESETS`.
            **rest: The remaining fields, and any that differ from the preset.

        Raises:
            UserError: If there is no preset of that name.
        """
        if name not in PRESETS:
            close = difflib.get_close_matches(name, PRESETS, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(PRESETS)}"
            raise UserError(f"preset: there is no preset {name!r}; {hint}")
        return cls(**{**PRESETS[name], **rest})

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
