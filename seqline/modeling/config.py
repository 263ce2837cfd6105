"""The configuration of a model."""

from typing import Any, Literal

from pydantic import Field, model_validator

from seqline.errors import UserError
from seqline.names import nearest
from seqline.schema.options import BaseOptions

Architecture = Literal["transformer", "gpt"]
Preset = Literal["demo", "tiny", "small", "base", "big"]
NormPlacement = Literal["pre", "post"]
Norm = Literal["rms", "layer"]
Positions = Literal["sinusoidal", "learned", "rotary"]
Activation = Literal["relu", "gelu", "silu", "swiglu"]

OLD_NAMES = {"width": "hidden_dim", "feed_forward": "intermediate_dim", "heads": "num_heads"}
"""Fields as checkpoints of schema version 1 name them."""


class TransformerConfig(BaseOptions):
    """The constructor arguments of a model, under the names used everywhere.

    Attributes:
        vocabulary_size: Number of tokens in the joint vocabulary.
        architecture: transformer (encoder and decoder) or gpt (one decoder; the source is a prompt).
        encoder_layers: Layers of the encoder; gpt has none.
        decoder_layers: Layers of the decoder.
        hidden_dim: Size of the hidden states (d_model).
        intermediate_dim: Inner size of the feed-forward blocks (d_ff).
        num_heads: Attention heads; twice their number must divide `hidden_dim`.
        norm_placement: pre (before each block, Xiong et al. 2020) or post (after it, Vaswani et al. 2017).
        norm: rms (Zhang and Sennrich 2019) or layer (Ba et al. 2016).
        positions: sinusoidal, learned or rotary (Su et al. 2021).
        activation: relu, gelu, silu, or swiglu (Shazeer 2020: a gate, with a third matrix).
        tied_embeddings: Whether the output layer is the embedding (Press and Wolf 2017).
        dropout: Share of the activations dropped where a block ends, and of the embeddings.
        attention_dropout: Share of the attention weights dropped.
        activation_dropout: Share dropped inside the feed-forward blocks.
        max_length: Longest sequence in tokens, end of sentence included; of a gpt, source and target together.
        pad_id: Padding token; never attended to.
        unk_id: Unknown token.
        bos_id: Token that starts every target.
        eos_id: Token that ends every source and target.
    """

    vocabulary_size: int = Field(ge=1)
    architecture: Architecture = "transformer"
    encoder_layers: int = Field(4, ge=0)
    decoder_layers: int = Field(4, ge=1)
    hidden_dim: int = Field(128, ge=1)
    intermediate_dim: int = Field(256, ge=1)
    num_heads: int = Field(4, ge=1)
    norm_placement: NormPlacement = "pre"
    norm: Norm = "rms"
    positions: Positions = "sinusoidal"
    activation: Activation = "relu"
    tied_embeddings: bool = True
    dropout: float = Field(0.1, ge=0, lt=1)
    attention_dropout: float = Field(0.0, ge=0, lt=1)
    activation_dropout: float = Field(0.0, ge=0, lt=1)
    max_length: int = Field(128, ge=1)
    pad_id: int = 0
    unk_id: int = 1
    bos_id: int = 2
    eos_id: int = 3

    @model_validator(mode="after")
    def _check(self) -> "TransformerConfig":
        if (self.encoder_layers < 1) != (self.architecture == "gpt"):
            raise ValueError(f"encoder_layers {self.encoder_layers} does not fit architecture {self.architecture}")
        if self.hidden_dim % (2 * self.num_heads):
            raise ValueError(f"hidden_dim {self.hidden_dim} must be a multiple of twice num_heads ({self.num_heads})")
        return self

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
            raise UserError(f"there is no preset {name!r}; {nearest(name, PRESETS)}")
        size = dict(PRESETS[name])
        if rest.get("architecture") == "gpt":
            size.update(decoder_layers=size["encoder_layers"] + size["decoder_layers"], encoder_layers=0)
        return cls(**{**size, **rest})

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields, for JSON."""
        return self.model_dump()

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "TransformerConfig":
        """Returns the configuration from the fields of `to_dict`, or of an older checkpoint.

        Args:
            fields: The fields by name.

        Raises:
            UserError: If a field is unknown.
        """
        return cls(**{OLD_NAMES.get(name, name): value for name, value in fields.items()})


def _sizes(encoder: int, decoder: int, hidden_dim: int, intermediate_dim: int, num_heads: int) -> dict[str, Any]:
    return {
        "encoder_layers": encoder,
        "decoder_layers": decoder,
        "hidden_dim": hidden_dim,
        "intermediate_dim": intermediate_dim,
        "num_heads": num_heads,
    }


# `base` and `big` are the two models of Vaswani et al. 2017, table 3.
PRESETS = {
    "demo": _sizes(2, 2, 128, 256, 4),
    "tiny": _sizes(4, 4, 128, 256, 4),
    "small": _sizes(3, 3, 256, 1024, 4),
    "base": _sizes(6, 6, 512, 2048, 8),
    "big": _sizes(6, 6, 1024, 4096, 16),
}
