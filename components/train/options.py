"""Options of the train stage."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, cast

from pydantic import Field, field_validator, model_validator

from seqline.errors import UserError
from seqline.modeling.config import ARCHITECTURES, Activation, AttentionBias, Norm, NormPlacement, Positions, Preset
from seqline.modeling.lora_targets import Target
from seqline.plugins.registry import ARCHITECTURES as PLUGINS
from seqline.schema.auto import AUTO, AutoCount, AutoShare, AutoSwitch, AutoTokens
from seqline.schema.options import BaseOptions, Fault, refusing
from seqline.schema.run import FINGERPRINTS

SHAPE = (
    "architecture",
    "norm_placement",
    "norm",
    "positions",
    "activation",
    "num_kv_heads",
    "attention_bias",
    "feed_forward_bias",
    "tied_embeddings",
    "pointer",
    "dropout",
    "attention_dropout",
    "activation_dropout",
)
"""The options that are fields of the model's configuration too."""
DROPPED = ("dropout", "attention_dropout", "activation_dropout")
"""Those of them that a model with pretrained weights has too: weights do not depend on them."""
TARGETS: tuple[Target, ...] = ("queries", "keys", "values", "output", "expand", "contract")
"""All projections that can have an adapter."""
PRETRAINED_DEFAULTS: dict[str, Any] = {
    "learning_rate": 0.0001,
    "warmup_steps": 100,
    "label_smoothing": 0.0,
    "ema_momentum": 0.0,
}
"""Other defaults with pretrained weights: small steps, labels as in pretraining, and no average, which would be that of
the start."""
LORA_DEFAULTS: dict[str, Any] = {**PRETRAINED_DEFAULTS, "learning_rate": 0.0005, "dropout": 0.0}
"""Likewise with adapters, which need larger steps than whole matrices, and are too small to fit noise."""
AUTO_OPTIONS = (
    "batch_tokens",
    "dropout",
    "label_smoothing",
    "warmup_steps",
    "beta_2",
    "ema_momentum",
    "patience",
)
"""The options that are auto by default with the preset auto; so is the learning rate, whose default of 0 is chosen."""
UNTIL_DEADLINE = 1000
"""The default of epochs with the preset auto and a time limit: the limit or `patience` ends the training."""
USUAL: dict[str, Any] = {"pointer": False, "positions": "sinusoidal", "bucket_by": "both"}
"""The options that the task decides while they are auto, with their values for most tasks."""
PRETRAINED_RATES = {"full": (0.00001, 0.0001), "lora": (0.0001, 0.001), "last": (0.00001, 0.0001)}
"""The learning rates that tuning searches with pretrained weights, by `fine_tuning`: lowest and highest."""
NOTHING_TO_TUNE = (
    "is {}, which leaves most weights as they are, but they would be random: set training.pretrained or warm_start, or "
    "fine_tuning to full"
)
"""Of `fine_tuning`, without a checkpoint to start from."""
WAYS = {"lora": ("lora_rank", "lora_alpha", "lora_targets"), "last": ("last_layers",)}
"""The options that only one way of fine-tuning has."""
DECODED = ("bleu", "rougeL", "exact_match", "token_f1")
"""The values of `monitor` that need decoded sentences."""


def tunable(**search: Any) -> dict[str, Any]:
    """Marks a field that tuning may vary.

    Args:
        **search: What is searched by default, `min`, `max` and `scale`; nothing if it is not searched by default.
    """
    return {"tunable": search}


class Options(BaseOptions):
    """The model and its training."""

    FIXED_PRESET: ClassVar[Preset] = "tiny"
    """The default of the preset where none can be selected, as in tuning."""

    pretrained: str = Field(
        "",
        description="Checkpoint in Hugging Face's format whose weights, shape and tokenizer training starts from: a "
        "folder, gs://, s3:// or hf://ORG/NAME@REVISION; empty for random weights. Then learning_rate is 0.0001, "
        "warmup_steps 100, label_smoothing 0 and ema_momentum 0 by default.",
    )
    pretrained_fingerprint: str = Field(
        "",
        description="Fingerprint of the checkpoint's files: the snapshot task fills it in, and refuses other files "
        "than those of a given one.",
    )
    fine_tuning: Literal["full", "lora", "last"] = Field(
        "full",
        description="Weights that are trained: full (all), lora (low-rank adapters beside the projections, merged into "
        "them in the checkpoint) or last (the decoder's last layers and its final norm). lora and last need pretrained "
        "or warm_start; with lora and pretrained, learning_rate is 0.0005 and dropout 0 by default.",
    )
    lora_rank: int = Field(
        16,
        ge=1,
        description="Rank of the adapters of fine_tuning lora.",
        json_schema_extra=tunable(min=4, max=64, scale="log"),
    )
    lora_alpha: float = Field(
        32.0,
        gt=0,
        description="The outputs of the adapters are multiplied by lora_alpha / lora_rank.",
        json_schema_extra=tunable(min=8.0, max=64.0, scale="log"),
    )
    lora_targets: list[Target] = Field(
        list(TARGETS),
        min_length=1,
        description="Projections with adapters: queries, keys, values and output of attention; expand (with a gate, "
        "both matrices) and contract of the feed-forward blocks.",
    )
    last_layers: int = Field(2, ge=1, description="Layers that fine_tuning last trains.")
    gradient_checkpointing: bool = Field(
        False,
        description="Whether each layer is computed again for its gradients instead of holding its activations in "
        "memory: one more forward pass in each step.",
    )
    architecture: str = Field(
        "transformer",
        description="transformer (encoder and decoder), gpt (decoder only; the source is a prompt) or a plugin's.",
    )
    plugins: dict[str, str] = Field({}, description=FINGERPRINTS)
    preset: Literal[Preset, "auto"] = Field(
        AUTO,
        description="Size of the model; auto selects it by the size of the corpus and the training time. Then "
        "batch_tokens, dropout, label_smoothing, warmup_steps, beta_2, ema_momentum, patience and "
        "corpus.vocabulary_size are auto by default. Tuning cannot search with auto; there, the default is tiny.",
        json_schema_extra=tunable(),
    )
    norm_placement: NormPlacement = Field("pre", description="Whether blocks are normalized before or after.")
    norm: Norm = Field("rms", description="Normalization: RMSNorm or LayerNorm.")
    positions: Literal[Positions, "auto"] = Field(
        AUTO, description="Position encoding; auto is sinusoidal, or rotary for tasks that copy from the source."
    )
    activation: Activation = Field("relu", description="Activation of the feed-forward blocks.")
    num_kv_heads: int = Field(
        0,
        ge=0,
        description="Attention heads of keys and values, each shared by several heads of queries; 0 for one each.",
    )
    attention_bias: AttentionBias = Field("all", description="Which projections of attention have biases.")
    feed_forward_bias: bool = Field(True, description="Whether the feed-forward blocks have biases.")
    tied_embeddings: bool = Field(True, description="Whether the output layer shares the embedding's weights.")
    pointer: AutoSwitch = Field(
        AUTO,
        description="Whether an output token is generated or copied from the source (pointer-generator, See et al. "
        "2017); not of a gpt. auto is true for tasks that copy from the source. label_smoothing applies to the "
        "generated tokens only.",
    )
    epochs: int = Field(
        20,
        ge=1,
        description="Number of epochs, at most. With preset auto and minutes, 1000 by default: the time ends training.",
    )
    minutes: float = Field(
        0.0, ge=0, description="Training time in minutes, validation included, at most; 0 for no limit."
    )
    monitor: Literal["loss", "perplexity", "accuracy", "bleu", "rougeL", "exact_match", "token_f1"] = Field(
        "loss",
        description="Validation metric that selects the best epoch; bleu, rougeL, exact_match and token_f1 need "
        "decoded_sample.",
    )
    patience: AutoCount = Field(
        5,
        description="Epochs without improvement before training stops; 0 for no limit; auto selects it by the passes "
        "over the data.",
    )
    decoded_sample: int = Field(
        64,
        ge=0,
        description="Validation sentences decoded after every epoch for BLEU and ROUGE-L, or also for exact match and "
        "F1 of answers; 0 for none.",
    )
    batch_tokens: AutoTokens = Field(
        4096,
        description="Tokens of a batch on its longer side, source or target, padding included; of a gpt, on both sides "
        "together. auto is less for a short training, which has more updates then.",
        json_schema_extra=tunable(),
    )
    bucket_by: Literal["both", "source", "auto"] = Field(
        AUTO,
        description="Lengths that decide which pairs share a batch: those of both sides, or of the source alone, which "
        "mixes long and short targets, such as kinds of answers, and pads more. auto is source for question "
        "answering, else both. A gpt packs all lengths.",
    )
    copy_warmup_steps: int = Field(
        0,
        ge=0,
        description="Updates at the start of training in which half of the pairs are replaced by exercises in copying: "
        "a span of the source, marked in it, is the target. For random weights of architecture transformer, and "
        "outputs that repeat parts of the input.",
    )
    gradient_accumulation_steps: int = Field(
        1, ge=1, description="Batches whose gradients are averaged, by target token, before the weights are updated."
    )
    lr_schedule: Literal["linear", "cosine", "inverse_square_root"] = Field(
        "linear",
        description="Decay of the learning rate after the warm-up: linear and cosine end at 0 with the epochs or "
        "minutes, inverse_square_root has no end.",
    )
    learning_rate: float = Field(
        0.0,
        ge=0,
        description="Peak learning rate, reached after the warm-up; 0 derives it from the model's width and the target "
        "tokens in an update.",
        json_schema_extra=tunable(min=0.0005, max=0.005, scale="log"),
    )
    warmup_steps: AutoCount = Field(
        400,
        description="Updates over which the learning rate rises linearly; at most a tenth of all are used; auto "
        "selects them by beta_2 and the number of all updates.",
        json_schema_extra=tunable(min=100, max=2000, scale="log"),
    )
    beta_2: AutoShare = Field(
        0.98,
        description="Decay of Adam's average of squared gradients: nearer to 1 for updates of few tokens, as auto "
        "selects it.",
    )
    weight_decay: float = Field(
        0.0, ge=0, description="Decoupled weight decay, multiplied by the learning rate (AdamW); 0 for Adam."
    )
    clip_norm: float = Field(1.0, ge=0, description="Norm to which the gradients are clipped together; 0 for no limit.")
    dropout: AutoShare = Field(
        0.1,
        description="Dropout of embeddings and of the outputs of blocks; auto selects it by the target tokens and the "
        "passes.",
        json_schema_extra=tunable(min=0.0, max=0.4),
    )
    attention_dropout: float = Field(0.0, ge=0, lt=1, description="Dropout of the attention weights.")
    activation_dropout: float = Field(0.0, ge=0, lt=1, description="Dropout inside the feed-forward blocks.")
    label_smoothing: AutoShare = Field(
        0.1,
        description="Probability spread over the vocabulary; auto selects it by the length of the targets.",
        json_schema_extra=tunable(),
    )
    r_drop: float = Field(
        0.0,
        ge=0,
        description="Weight of the divergence between the outputs of two dropout masks (R-Drop, Liang et al. 2021), "
        "such as 5; 0 for none. A step takes about twice as long.",
    )
    subword_sampling: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Subword regularization, which samples other tokens every epoch: for a unigram tokenizer the "
        "exponent of the probabilities, lower for more variety (0.3 makes sequences 15% longer, 0.1 twice as long); "
        "for BPE the share of merges dropped, such as 0.1; 0 for none. It needs many more epochs.",
    )
    ema_momentum: AutoShare = Field(
        0.999,
        description="Momentum of the moving average of the weights, which is evaluated and saved; 0 for none; auto "
        "selects it by the number of updates.",
        json_schema_extra=tunable(),
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Precision of the computation; auto is bfloat16 where the processor multiplies it natively."
    )
    devices: Literal["auto", "one", "mirrored", "workers", "tpu"] = Field(
        "auto",
        description="Devices that train: one, mirrored (all GPUs), workers (from TF_CONFIG) or tpu; auto finds them.",
    )
    xla: Literal["auto", "on", "off"] = Field(
        "auto", description="Whether the training step is compiled with XLA; auto on a TPU only."
    )
    seed: int = Field(1, ge=0, le=2**32 - 1, description="Seed of initial weights, dropout and the order of the data.")

    @classmethod
    def implied(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Other defaults with pretrained weights or the preset auto.

        Args:
            values: Values by name.
        """
        if values.get("pretrained"):
            return LORA_DEFAULTS if values.get("fine_tuning") == "lora" else PRETRAINED_DEFAULTS
        if not cls.selects_preset(values):
            return {}
        chosen: dict[str, Any] = dict.fromkeys(AUTO_OPTIONS, AUTO)
        return chosen | {"epochs": UNTIL_DEADLINE} if values.get("minutes") else chosen

    @classmethod
    def selects_preset(cls, values: Mapping[str, Any]) -> bool:
        """Whether training selects the preset, and by default the other options of `AUTO_OPTIONS`.

        Args:
            values: Values by name.
        """
        return not values.get("pretrained") and values.get("preset", cls.model_fields["preset"].default) == AUTO

    @property
    def undecided(self) -> list[str]:
        """The options that training chooses when it starts, because they are auto; the preset first."""
        names = AUTO_OPTIONS if self.pretrained else ("preset", *AUTO_OPTIONS)
        return [name for name in names if getattr(self, name) == AUTO]

    def settled(self) -> "Options":
        """Returns these options with `USUAL` values in place of auto; with pretrained weights they stay as they are."""
        left = {name: value for name, value in USUAL.items() if getattr(self, name) == AUTO}
        return self if self.pretrained else self.with_values(**left)

    def check_decided(self, reason: str) -> None:
        """Refuses options that are auto.

        Args:
            reason: What cannot choose them, such as "before preflight".

        Raises:
            UserError: If there are some.
        """
        # With the preset, the others are no longer auto by default.
        for name in self.undecided[:1]:
            raise UserError(f"{name} auto is selected when training starts; set {name} {reason}")

    @field_validator("lora_targets")
    @classmethod
    def _check_targets(cls, targets: list[Target]) -> list[Target]:
        if len(set(targets)) < len(targets):
            raise ValueError(f"names {max(targets, key=targets.count)} twice")
        return targets

    @model_validator(mode="after")
    def _check_pretrained(self) -> "Options":
        if not self.pretrained:
            if self.pretrained_fingerprint:
                raise ValueError("pretrained_fingerprint needs pretrained")
            return self
        fields = type(self).model_fields
        shape = [name for name in ("preset", *SHAPE) if name not in DROPPED]
        if given := [name for name in shape if getattr(self, name) != fields[name].default]:
            raise ValueError(
                f"{' and '.join(given)} cannot be set with pretrained: the model's shape is that of the checkpoint's "
                "config.json"
            )
        if undecided := self.undecided:
            raise ValueError(
                f"{' and '.join(undecided)} cannot be auto with pretrained, which needs other values than random "
                "weights: omit it, or set a number"
            )
        return self

    @model_validator(mode="after")
    def _check_fine_tuning(self) -> "Options":
        fields = type(self).model_fields
        for way, names in WAYS.items():
            given = [name for name in names if getattr(self, name) != fields[name].default]
            if given and self.fine_tuning != way:
                raise ValueError(f"{' and '.join(given)} needs fine_tuning {way}, not {self.fine_tuning}")
        return self

    @model_validator(mode="after")
    def _check_pointer(self) -> "Options":
        for name in ("pointer", "copy_warmup_steps"):
            if getattr(self, name) not in (0, AUTO) and self.family == "gpt":
                raise ValueError(
                    f"{name} cannot be set with architecture {self.architecture}, which has no encoder to copy from: "
                    "set architecture to transformer"
                )
        if self.copy_warmup_steps and self.pretrained:
            raise ValueError("copy_warmup_steps is for random weights: pretrained ones have learned to copy")
        return self

    @model_validator(mode="after")
    def _check_r_drop(self) -> "Options":
        if self.r_drop and not any(getattr(self, name) for name in DROPPED):
            raise ValueError("r_drop compares two dropout masks, so it needs a dropout above 0")
        return self

    @model_validator(mode="after")
    def _check_monitor(self) -> "Options":
        if self.monitor in DECODED and not self.decoded_sample:
            raise ValueError(f"monitor {self.monitor} needs a decoded_sample of at least 1, not 0")
        return self

    def faults_in(self, run: Mapping[str, Any]) -> Iterator[Fault]:
        """Yields `fine_tuning` if most of the weights would stay random."""
        if self.fine_tuning != "full" and not (self.pretrained or run.get("warm_start")):
            yield Fault(("fine_tuning",), NOTHING_TO_TUNE.format(self.fine_tuning))

    @field_validator("architecture")
    @classmethod
    def _check_architecture(cls, value: str) -> str:
        if value not in ARCHITECTURES:
            with refusing():
                PLUGINS.find(value, ARCHITECTURES)
        return value

    @property
    def family(self) -> str:
        """The built-in architecture whose layers a plugin's arranges; otherwise the architecture itself."""
        return self.architecture if self.architecture in ARCHITECTURES else PLUGINS.find(self.architecture).family

    @classmethod
    def search_spaces(cls) -> dict[str, dict[str, Any]]:
        """The options that tuning may vary, each with what is searched by default; empty if it is not."""
        found = {}
        for name, field in cls.model_fields.items():
            extra = field.json_schema_extra
            if isinstance(extra, dict) and "tunable" in extra:
                found[name] = dict(cast("dict[str, Any]", extra["tunable"]))
        return found

    def check_replicas(self, replicas: int) -> None:
        """Checks that the options work with so many devices.

        Args:
            replicas: Devices that share a batch.

        Raises:
            UserError: If gradients are to be accumulated over several.
        """
        if self.gradient_accumulation_steps > 1 and replicas > 1:
            # Keras 3.15 sums gradients over the replicas inside a condition, which TensorFlow does not trace.
            raise UserError(
                f"gradient_accumulation_steps is {self.gradient_accumulation_steps}, but {replicas} devices train, "
                "which cannot accumulate: omit it and raise batch_tokens, or set devices to one"
            )

    @property
    def shape(self) -> dict[str, Any]:
        """The options that are fields of the model's configuration too, by name; `USUAL` ones in place of auto."""
        values = {name: getattr(self, name) for name in SHAPE}
        values |= {name: USUAL[name] for name, value in values.items() if name in USUAL and value == AUTO}
        return {**values, "architecture": self.family, "num_kv_heads": self.num_kv_heads or None}

    @property
    def weight_shape(self) -> dict[str, Any]:
        """Those of `shape` that the weights depend on."""
        return {name: value for name, value in self.shape.items() if name not in DROPPED}
