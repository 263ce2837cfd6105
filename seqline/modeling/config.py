"""The configuration of a model."""

from collections.abc import Iterator
from typing import Any, Literal, get_args

from pydantic import Field, model_validator

from seqline.errors import UserError
from seqline.names import nearest
from seqline.schema.options import BaseOptions, Part

Architecture = Literal["transformer", "gpt"]
ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)
Preset = Literal["demo", "tiny", "small", "base", "big"]
NormPlacement = Literal["pre", "post"]
Norm = Literal["rms", "layer"]
Positions = Literal["sinusoidal", "learned", "rotary", "relative"]
Activation = Literal["relu", "gelu", "gelu_exact", "silu", "swiglu", "geglu"]
AttentionBias = Literal["all", "qkv", "none"]
PromptForm = Literal["seqline", "template"]

OLD_NAMES = {"width": "hidden_dim", "feed_forward": "intermediate_dim", "heads": "num_heads"}
"""Fields as checkpoints of schema version 1 name them."""
LATER = (
    "num_kv_heads",
    "head_dim",
    "norm_epsilon",
    "rope_theta",
    "rope_scaling",
    "relative_buckets",
    "relative_max_distance",
    "attention_bias",
    "feed_forward_bias",
    "embedding_scale",
    "query_scale",
    "logit_scale",
    "logit_bias",
    "prompt_form",
    "start_id",
    "other_eos_ids",
    "suppressed_ids",
    "pointer",
)
"""Fields that models of Seqline's first checkpoints do not have."""
SPECIAL = 4
"""A tokenizer's own special tokens, which even a tiny vocabulary of a test has."""


PADDING = -1
"""Fills rows of token ids where no token may: a prompt from a template can hold any token, the padding token too."""


class RopeScaling(Part):
    """Slower rotations, for sequences longer than a model was first trained on.

    Attributes:
        kind: linear divides all frequencies by the factor (Chen et al. 2023); llama3 divides the low ones only, and
            interpolates between low and high ones (Dubey et al. 2024).
        factor: What frequencies are divided by.
        low_freq_factor: Of llama3: frequencies with fewer turns within `original_max_length` are low.
        high_freq_factor: Of llama3: frequencies with more turns are high.
        original_max_length: Of llama3: the length that the model was first trained on.
    """

    kind: Literal["linear", "llama3"]
    factor: float = Field(gt=0)
    low_freq_factor: float = Field(1.0, gt=0)
    high_freq_factor: float = Field(4.0, gt=0)
    original_max_length: int = Field(8192, ge=1)

    @model_validator(mode="after")
    def _check(self) -> "RopeScaling":
        if self.high_freq_factor <= self.low_freq_factor:
            raise ValueError(
                f"high_freq_factor {self.high_freq_factor:g} must be above low_freq_factor {self.low_freq_factor:g}"
            )
        return self


class TransformerConfig(BaseOptions):
    """The constructor arguments of a model, under the names used everywhere.

    Attributes:
        vocabulary_size: Number of tokens in the joint vocabulary.
        architecture: transformer (encoder and decoder) or gpt (one decoder; the source is a prompt).
        encoder_layers: Layers of the encoder; gpt has none.
        decoder_layers: Layers of the decoder.
        hidden_dim: Size of the hidden states (d_model).
        intermediate_dim: Inner size of the feed-forward blocks (d_ff).
        num_heads: Attention heads; twice their number must divide `hidden_dim`, unless `head_dim` is given.
        num_kv_heads: Heads of keys and values, each shared by as many heads of queries (Ainslie et al. 2023); None for
            `num_heads`, which it must divide.
        head_dim: Size of a head; None for `hidden_dim / num_heads`.
        norm_placement: pre (before each block, Xiong et al. 2020) or post (after it, Vaswani et al. 2017).
        norm: rms (Zhang and Sennrich 2019) or layer (Ba et al. 2016).
        norm_epsilon: Added to the mean square or variance.
        positions: sinusoidal, learned, rotary (Su et al. 2021) or relative (Raffel et al. 2020: a bias of the attention
            logits by distance, shared by the layers of a stack).
        rope_theta: Of rotary positions: the base of the wavelengths.
        rope_scaling: Of rotary positions: see `RopeScaling`; None for none.
        relative_buckets: Of relative positions: number of distances that are distinguished.
        relative_max_distance: Of relative positions: all distances from this one on are one bucket.
        activation: relu, gelu (tanh form, as gelu_new and gelu_pytorch_tanh in other libraries), gelu_exact (with erf),
            silu (also named swish), or with a gate and a third matrix (Shazeer 2020): swiglu, geglu (gelu).
        attention_bias: Which projections of attention have biases: all, qkv (not the output's) or none.
        feed_forward_bias: Whether the feed-forward blocks have biases.
        embedding_scale: Whether embeddings are multiplied by the square root of `hidden_dim`.
        query_scale: Whether attention logits are divided by the square root of the head's size.
        logit_scale: Factor of the output layer's inputs.
        logit_bias: Whether the output layer has a bias.
        tied_embeddings: Whether the output layer is the embedding (Press and Wolf 2017).
        pointer: Whether outputs are generated or copied from the source; see `seqline.modeling.pointer`.
        dropout: Share of the activations dropped where a block ends, and of the embeddings.
        attention_dropout: Share of the attention weights dropped.
        activation_dropout: Share dropped inside the feed-forward blocks.
        max_length: Longest sequence in tokens, end of sentence included; of a gpt, source and target together.
        prompt_form: Of a gpt: seqline (source, `eos_id`, `bos_id`, target, `eos_id`) or template (source, target,
            `eos_id`: the source's text holds all that marks it as a prompt).
        pad_id: Padding token; never attended to. None, or the id of another token, in prompt form template only, where
            rows are padded with `PADDING`.
        unk_id: Unknown token; None if every text has tokens.
        bos_id: Token that starts every target, unless `start_id` is given; None without such a token.
        eos_id: Token that ends every source and target.
        other_eos_ids: Tokens that end an output too; training learns `eos_id`.
        start_id: Token that starts every target; None for `bos_id`.
        suppressed_ids: Tokens that are never generated.
    """

    vocabulary_size: int = Field(ge=1)
    architecture: Architecture = "transformer"
    encoder_layers: int = Field(4, ge=0)
    decoder_layers: int = Field(4, ge=1)
    hidden_dim: int = Field(128, ge=1)
    intermediate_dim: int = Field(256, ge=1)
    num_heads: int = Field(4, ge=1)
    num_kv_heads: int | None = Field(None, ge=1)
    head_dim: int | None = Field(None, ge=1)
    norm_placement: NormPlacement = "pre"
    norm: Norm = "rms"
    norm_epsilon: float = Field(1e-6, gt=0)
    positions: Positions = "sinusoidal"
    rope_theta: float = Field(10000.0, gt=0)
    rope_scaling: RopeScaling | None = None
    relative_buckets: int = Field(32, ge=4)
    relative_max_distance: int = Field(128, ge=1)
    activation: Activation = "relu"
    attention_bias: AttentionBias = "all"
    feed_forward_bias: bool = True
    embedding_scale: bool = True
    query_scale: bool = True
    logit_scale: float = Field(1.0, gt=0)
    logit_bias: bool = False
    tied_embeddings: bool = True
    pointer: bool = False
    dropout: float = Field(0.1, ge=0, lt=1)
    attention_dropout: float = Field(0.0, ge=0, lt=1)
    activation_dropout: float = Field(0.0, ge=0, lt=1)
    max_length: int = Field(128, ge=1)
    prompt_form: PromptForm = "seqline"
    pad_id: int | None = 0
    unk_id: int | None = 1
    bos_id: int | None = 2
    eos_id: int = 3
    other_eos_ids: tuple[int, ...] = Field((), strict=False)  # JSON has lists
    start_id: int | None = None
    suppressed_ids: tuple[int, ...] = Field((), strict=False)  # JSON has lists

    @model_validator(mode="after")
    def _check(self) -> "TransformerConfig":
        for problem in self._problems():
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        if (self.encoder_layers < 1) != (self.architecture == "gpt"):
            yield f"encoder_layers {self.encoder_layers} does not fit architecture {self.architecture}"
        if self.pointer and self.architecture == "gpt":
            yield "pointer needs architecture transformer: a gpt has no encoder whose positions it could point to"
        if self.head_dim is None and self.hidden_dim % (2 * self.num_heads):
            yield (
                f"hidden_dim {self.hidden_dim} must be a multiple of twice num_heads ({self.num_heads}); "
                "or set head_dim"
            )
        if self.num_heads % self.kv_heads:
            yield f"num_heads {self.num_heads} must be a multiple of num_kv_heads ({self.num_kv_heads})"
        if self.positions == "rotary" and self.head_size % 2:
            yield f"head_dim {self.head_dim} must be even with rotary positions"
        if self.positions == "sinusoidal" and self.hidden_dim % 2:
            yield f"hidden_dim {self.hidden_dim} must be even with sinusoidal positions"
        if self.positions == "relative":
            # Half of an encoder's buckets are for each direction, and half of those for one distance each.
            if self.relative_buckets % 4:
                yield f"relative_buckets {self.relative_buckets} must be a multiple of 4"
            if self.relative_max_distance <= self.relative_buckets // 2:
                yield (
                    f"relative_max_distance {self.relative_max_distance} must be above half of relative_buckets "
                    f"({self.relative_buckets})"
                )
        yield from self._token_problems()

    def _token_problems(self) -> Iterator[str]:
        names = ("pad_id", "unk_id", "bos_id", "eos_id", "start_id")
        named = [(name, value) for name in names if (value := getattr(self, name)) is not None]
        named += [(name, value) for name in ("other_eos_ids", "suppressed_ids") for value in getattr(self, name)]
        for name, value in named:
            if not 0 <= value < max(self.vocabulary_size, SPECIAL):
                yield f"{name} {value} is not a token of a vocabulary of {self.vocabulary_size}"
        if self.eos_id in self.suppressed_ids:
            yield f"suppressed_ids has eos_id {self.eos_id}: no output would end"
        if self.eos_id in self.other_eos_ids:
            yield f"other_eos_ids has eos_id {self.eos_id}"
        template = self.prompt_form == "template"
        if template and self.architecture != "gpt":
            yield f"prompt_form template needs architecture gpt, not {self.architecture}"
        if not template and self.bos_id is None and self.start_id is None:
            yield "start_id is missing: without bos_id, no token starts the target"
        if not template and self.pad_id in (None, self.eos_id):
            yield f"pad_id {self.pad_id} must be a token of its own; only prompt_form template does without"

    @property
    def kv_heads(self) -> int:
        """Heads of keys and values."""
        return self.num_kv_heads or self.num_heads

    @property
    def head_size(self) -> int:
        """Size of a head."""
        return self.head_dim or self.hidden_dim // self.num_heads

    @property
    def gated(self) -> bool:
        """Whether the activation has a gate, and the feed-forward blocks a third matrix."""
        return self.activation in ("swiglu", "geglu")

    @property
    def padding(self) -> int:
        """What rows of token ids are padded with."""
        return PADDING if self.prompt_form == "template" or self.pad_id is None else self.pad_id

    @property
    def filler(self) -> int:
        """What rows of token ids are padded with where every id is looked up, and a mask hides the padding."""
        return max(self.padding, 0)

    @property
    def start(self) -> int:
        """The token that starts every target; a gpt with a template has none."""
        found = self.bos_id if self.start_id is None else self.start_id
        if found is None:
            raise TypeError("the model has no token that starts a target")
        return found

    @property
    def special_ids(self) -> tuple[int, ...]:
        """The tokens that have no text."""
        found = {self.pad_id, self.bos_id, self.eos_id, self.start_id, self.padding}
        return tuple(sorted(token for token in found if token is not None))

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
        """Returns the fields, for JSON; those of `LATER` only with other values: fingerprints stay what they were."""
        defaults = type(self).model_fields
        same = {name for name in LATER if getattr(self, name) == defaults[name].default}
        return self.model_dump(mode="json", exclude=same)

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
