"""Decoder-only checkpoints: Llama, Qwen2 and Mistral, which differ in biases and defaults only.

Names and defaults are those of modeling_*.py and configuration_*.py of transformers 4.57 (Apache-2.0).
"""

from collections.abc import Sequence
from typing import Any

from seqline.modeling.config import AttentionBias, RopeScaling, TransformerConfig
from seqline.pretrained.fields import Fields
from seqline.pretrained.recipes import Recipes

KV_HEADS = "num_key_value_heads"
LLAMA3 = ("low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
# Of each `model_type`: bos, eos, epsilon, positions.
DEFAULTS: dict[str, tuple[int | None, int | None, float, int]] = {
    "llama": (1, 2, 1e-6, 2048),
    "qwen2": (None, None, 1e-6, 32768),
    "mistral": (1, 2, 1e-6, 131072),
}


def read_config(fields: Fields, generation_ends: Sequence[int] = ()) -> TransformerConfig:
    """Maps a config.json to the model's configuration.

    Args:
        fields: The fields.
        generation_ends: More tokens that end an output, by generation_config.json.

    Raises:
        UserError: If an option is not supported.
    """
    kind = fields.model_type
    bos, eos, epsilon, positions = DEFAULTS[kind]
    hidden_dim, heads = fields.integer("hidden_size"), fields.integer("num_attention_heads")
    longest = fields.integer("max_position_embeddings", positions)
    theta, scaling = _rotations(fields, longest)
    fields.choice("hidden_act", ("silu",), "silu")
    fields.choice("rope_interleaved", (False,), False)
    fields.choice("mlp_bias", (False, True) if kind == "llama" else (False,), False)
    fields.known |= {"is_llama_config", "is_decoder", "is_encoder_decoder", "bos_token_id", "pad_token_id"}
    fields.known |= {"unk_token_id"}
    _no_windows(fields, longest)
    end, *others = _ends(fields, eos, generation_ends)
    return TransformerConfig(
        architecture="gpt",
        vocabulary_size=fields.integer("vocab_size"),
        encoder_layers=0,
        decoder_layers=fields.integer("num_hidden_layers"),
        hidden_dim=hidden_dim,
        intermediate_dim=fields.integer("intermediate_size"),
        num_heads=heads,
        num_kv_heads=fields.integer(KV_HEADS, heads) if kind == "llama" else fields.integer(KV_HEADS),
        head_dim=fields.integer("head_dim", hidden_dim // heads),
        norm="rms",
        norm_epsilon=fields.number("rms_norm_eps", epsilon),
        positions="rotary",
        rope_theta=theta,
        rope_scaling=scaling,
        activation="swiglu",
        attention_bias=_biases(fields),
        feed_forward_bias=fields.flag("mlp_bias", False),
        embedding_scale=False,
        tied_embeddings=fields.flag("tie_word_embeddings", False),
        dropout=0.0,
        max_length=longest,
        prompt_form="template",
        pad_id=None,
        unk_id=None,
        # Missing means the default; null means that there is no such token.
        bos_id=fields.token("bos_token_id", bos if "bos_token_id" not in fields.values else None),
        eos_id=end,
        other_eos_ids=tuple(others),
    )


def recipes_of(config: TransformerConfig) -> Recipes:
    """Lists what each weight is made of.

    Args:
        config: From `read_config`.
    """
    recipes, size = Recipes(), config.hidden_dim
    recipes.table("embedding", "model.embed_tokens.weight", config.vocabulary_size, size)
    if config.tied_embeddings:
        recipes.copies["lm_head.weight"] = "model.embed_tokens.weight"
    else:
        recipes.table("output_embedding", "lm_head.weight", config.vocabulary_size, size)
    for number in range(config.decoder_layers):
        ours, theirs = f"decoder/{number}", f"model.layers.{number}"
        recipes.vector(f"{ours}/self_norm/scale", f"{theirs}.input_layernorm.weight", size)
        recipes.vector(f"{ours}/feed_forward_norm/scale", f"{theirs}.post_attention_layernorm.weight", size)
        names = ("q_proj", "k_proj", "v_proj", "o_proj")
        recipes.attention(f"{ours}/self_attention", f"{theirs}.self_attn", names, config)
        gate = [f"{theirs}.mlp.gate_proj", f"{theirs}.mlp.up_proj"]
        recipes.feed_forward(f"{ours}/feed_forward", gate, f"{theirs}.mlp.down_proj", config)
        # Computed from the base; old versions of transformers saved it.
        recipes.copies[f"{theirs}.self_attn.rotary_emb.inv_freq"] = ""
    recipes.vector("decoder_norm/scale", "model.norm.weight", size)
    return recipes


def _ends(fields: Fields, default: int | None, generation_ends: Sequence[int]) -> list[int]:
    """The tokens that end an output, that of config.json first."""
    given = fields.get("eos_token_id")
    if isinstance(given, list) and given and all(type(one) is int for one in given):
        found = given
    else:
        found = [fields.token("eos_token_id", default)]
    found = [one for one in dict.fromkeys([*found, *generation_ends]) if one is not None]
    if not found:
        raise fields.missing("eos_token_id")
    return found


def _biases(fields: Fields) -> AttentionBias:
    if fields.model_type == "qwen2":
        return "qkv"
    # Of the two, only Llama has the option.
    choices = (False, True) if fields.model_type == "llama" else (False,)
    return "all" if fields.choice("attention_bias", choices, False) else "none"


def _no_windows(fields: Fields, longest: int) -> None:
    """Refuses attention to the last tokens only, unless its window is as long as the longest sequence."""
    kinds = fields.get("layer_types")
    if kinds and any(kind != "full_attention" for kind in kinds):
        raise fields.unsupported("layer_types", kinds, '"full_attention" in all layers')
    window = fields.get("sliding_window")
    if fields.model_type == "mistral" and "sliding_window" not in fields.values:
        window = 4096  # the default of transformers
    if fields.model_type == "qwen2":
        fields.known.add("max_window_layers")
        if not fields.flag("use_sliding_window", False):
            return
        raise fields.unsupported("use_sliding_window", True, "false")
    if window is not None and not (type(window) is int and window >= longest):
        raise fields.unsupported(
            "sliding_window", window, f"null, or a window of at least max_position_embeddings ({longest})"
        )


def _rotations(fields: Fields, longest: int) -> tuple[float, RopeScaling | None]:
    """Reads base and scaling; transformers 5 writes both as `rope_parameters`."""
    name = "rope_parameters" if fields.get("rope_parameters") else "rope_scaling"
    given: Any = fields.get("rope_parameters") or fields.get("rope_scaling") or {}
    if not isinstance(given, dict):
        raise fields.unsupported(name, given, "an object, or null")
    values = {key: value for key, value in given.items() if value is not None}
    theta = fields.number("rope_theta", 10000.0)
    if name == "rope_parameters":
        theta = float(values.pop("rope_theta", theta))
    kinds = {values.pop("rope_type", None), values.pop("type", None)} - {None}
    kind = kinds.pop() if len(kinds) == 1 else "default" if not kinds else "+".join(sorted(map(str, kinds)))
    if kind == "default":
        needed: tuple[str, ...] = ()
    elif kind == "linear":
        needed = ("factor",)
    elif kind == "llama3":
        needed = ("factor", *LLAMA3)
    else:
        raise fields.unsupported(name, given, "rope_type default, linear or llama3")
    allowed = {*needed, *(("original_max_position_embeddings",) if kind != "default" else ())}
    valid = all(type(values.get(one)) in (int, float) and values[one] > 0 for one in needed)
    if not valid or set(values) - allowed:
        fit = f"rope_type {kind} with {', '.join(needed) or 'nothing else'}, all above 0"
        raise fields.unsupported(name, given, fit)
    if kind == "default":
        return theta, None
    if kind == "linear":
        return theta, RopeScaling(kind="linear", factor=float(values["factor"]))
    low, high, original = (values[one] for one in LLAMA3)
    return theta, RopeScaling(
        kind="llama3",
        factor=float(values["factor"]),
        low_freq_factor=float(low),
        high_freq_factor=float(high),
        original_max_length=int(original),
    )
