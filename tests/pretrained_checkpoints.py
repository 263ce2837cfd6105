"""Small checkpoints in Hugging Face's format with random weights, one for each family.

It needs numpy and safetensors only: `tests/seqline/pretrained/make_expected.py` also runs it in an environment with
transformers, which computes what the tests expect.
"""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

VOCABULARY = 80
SIZE = 32
INNER = 48

_SEQUENCES = {"vocab_size": VOCABULARY, "is_encoder_decoder": True}
_T5 = {
    **_SEQUENCES,
    "model_type": "t5",
    "architectures": ["T5ForConditionalGeneration"],
    "d_model": SIZE,
    "d_kv": 10,
    "d_ff": INNER,
    "num_layers": 2,
    "num_decoder_layers": 1,
    "num_heads": 4,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 12,
    "dropout_rate": 0.1,
    "layer_norm_epsilon": 1e-6,
    "feed_forward_proj": "relu",
    "n_positions": 64,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "decoder_start_token_id": 0,
}
_LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": VOCABULARY,
    "hidden_size": SIZE,
    "intermediate_size": INNER,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "hidden_act": "silu",
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "marian": {
        **_SEQUENCES,
        "model_type": "marian",
        "architectures": ["MarianMTModel"],
        "d_model": SIZE,
        "encoder_layers": 2,
        "decoder_layers": 1,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": INNER,
        "decoder_ffn_dim": INNER,
        "activation_function": "swish",
        "scale_embedding": True,
        "max_position_embeddings": 64,
        "static_position_embeddings": True,
        "normalize_before": False,
        "bad_words_ids": [[VOCABULARY - 1]],
        "pad_token_id": VOCABULARY - 1,
        "decoder_start_token_id": VOCABULARY - 1,
        "eos_token_id": 0,
        "forced_eos_token_id": 0,
        "num_beams": 6,
    },
    "t5": _T5,
    "t5_v1_1": {**_T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    "mt5": {
        **_T5,
        "model_type": "mt5",
        "architectures": ["MT5ForConditionalGeneration"],
        "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": False,
    },
    "llama2": _LLAMA,
    "llama3": {
        **_LLAMA,
        "num_key_value_heads": 2,
        "head_dim": 12,
        "rope_theta": 500000.0,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 4.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32,
        },
        "tie_word_embeddings": True,
    },
    "llama_biased": {
        **_LLAMA,
        "attention_bias": True,
        "mlp_bias": True,
        "rope_scaling": {"type": "linear", "factor": 2.0},
    },
    "qwen2": {
        **_LLAMA,
        "model_type": "qwen2",
        "architectures": ["Qwen2ForCausalLM"],
        "num_key_value_heads": 2,
        "rope_theta": 1000000.0,
        "use_sliding_window": False,
        "sliding_window": 16,
        "max_window_layers": 2,
        "tie_word_embeddings": True,
    },
    "mistral": {
        **_LLAMA,
        "model_type": "mistral",
        "architectures": ["MistralForCausalLM"],
        "num_key_value_heads": 1,
        "sliding_window": None,
    },
}
"""config.json by the name of the family."""
PARITY = [family for family in CONFIGS if family != "mt5"]
"""Those with expected outputs; mT5 is T5 1.1 by another name."""


def shapes_of(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The tensors that transformers saves for such a configuration."""
    family = {"marian": _marian, "t5": _t5, "mt5": _t5}.get(config["model_type"], _llama)
    return family(config)


END = {"t5": 9, "llama2": 2.5, "mistral": 2.5}
"""Factors of the end's embedding, by which outputs end."""


def weights_of(family: str, seed: int | None = None, **changes: Any) -> dict[str, np.ndarray]:
    """Random weights, each drawn by its own name; their sizes make outputs that differ and end."""
    found, config = {}, {**CONFIGS[family], **changes}
    # Some seeds make a Marian model that repeats one token.
    seed = (5 if family == "marian" else 1) if seed is None else seed
    for name, shape in shapes_of(config).items():
        # The old generator: its numbers are the same in every version of numpy.
        drawn = np.random.RandomState(zlib.crc32(f"{seed} {name}".encode())).standard_normal(shape)
        if name.endswith("norm.weight"):
            drawn = 1 + 0.1 * drawn
        elif name == "final_logits_bias":
            drawn = 0.1 * drawn
            drawn[0, config["eos_token_id"]] += 1.5
        elif name.endswith(".bias"):
            drawn = 0.3 * drawn
        elif name == "model.shared.weight":
            drawn = 0.5 * drawn
        elif name in ("shared.weight", "model.embed_tokens.weight", "lm_head.weight"):
            drawn = drawn * 0.5
            drawn[config["eos_token_id"]] *= END.get(family, 4)
        elif "relative_attention_bias" not in name:
            # Where embeddings are tied, weak blocks would only repeat the last token.
            strong = name.endswith(("out_proj.weight", "fc2.weight", ".o.weight", "wo.weight"))
            weak = config["model_type"] == "marian" and name.endswith(("q_proj.weight", "fc2.weight"))
            drawn = drawn * (4.5 if strong else 1.5) * (0.3 if weak else 1) * shape[-1] ** -0.5
        found[name] = drawn.astype(np.float32)
    return found


def write(
    folder: Path,
    family: str,
    *,
    kind: str = "float32",
    shards: int = 1,
    config: Mapping[str, Any] | None = None,
    weights: Mapping[str, np.ndarray] | None = None,
) -> Path:
    """Writes a checkpoint; options that are None are removed from config.json."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    values = {**CONFIGS[family], **(config or {})}
    (folder / "config.json").write_text(json.dumps(values, indent=1))
    tensors = {name: as_kind(value, kind) for name, value in (weights or weights_of(family)).items()}
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        return folder
    index = {}
    for number in range(shards):
        name = f"model-{number + 1:05d}-of-{shards:05d}.safetensors"
        part = dict(list(tensors.items())[number::shards])
        save_file(part, folder / name, {"format": "pt"})
        index.update(dict.fromkeys(part, name))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return folder


def inputs(family: str, number: int, seed: int = 7) -> list[list[int]]:
    """Random sources without special tokens; those of a family with an encoder end in its end token."""
    numbers = np.random.RandomState(seed)
    config = CONFIGS[family]
    rows = [numbers.randint(3, VOCABULARY - 1, numbers.randint(2, 12)).tolist() for _ in range(number)]
    return [[*row, config["eos_token_id"]] for row in rows] if config.get("is_encoder_decoder") else rows


def as_kind(value: np.ndarray, kind: str) -> np.ndarray:
    """The values as another type, such as bfloat16."""
    if kind == "bfloat16":
        import ml_dtypes

        return value.astype(ml_dtypes.bfloat16)
    return value.astype(kind)


def _marian(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {
        "final_logits_bias": (1, config["vocab_size"]),
        "model.shared.weight": (config["vocab_size"], SIZE),
    }
    for stack in ("encoder", "decoder"):
        for number in range(config[f"{stack}_layers"]):
            layer = f"model.{stack}.layers.{number}"
            blocks = {"self_attn": "self_attn_layer_norm"}
            if stack == "decoder":
                blocks["encoder_attn"] = "encoder_attn_layer_norm"
            for block, norm in blocks.items():
                for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
                    found |= _dense(f"{layer}.{block}.{name}", SIZE, SIZE, True)
                found |= {f"{layer}.{norm}.weight": (SIZE,), f"{layer}.{norm}.bias": (SIZE,)}
            found |= _dense(f"{layer}.fc1", SIZE, INNER, True) | _dense(f"{layer}.fc2", INNER, SIZE, True)
            found |= {f"{layer}.final_layer_norm.weight": (SIZE,), f"{layer}.final_layer_norm.bias": (SIZE,)}
    return found


def _t5(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {"shared.weight": (config["vocab_size"], SIZE)}
    if not config.get("tie_word_embeddings", True):
        found["lm_head.weight"] = (config["vocab_size"], SIZE)
    heads, width = config["num_heads"], config["num_heads"] * config["d_kv"]
    gated = config["feed_forward_proj"].startswith("gated")
    for stack, layers in (("encoder", config["num_layers"]), ("decoder", config["num_decoder_layers"])):
        for number in range(layers):
            blocks = ["SelfAttention", *(["EncDecAttention"] if stack == "decoder" else [])]
            for place, block in enumerate(blocks):
                layer = f"{stack}.block.{number}.layer.{place}"
                for name in ("q", "k", "v"):
                    found |= _dense(f"{layer}.{block}.{name}", SIZE, width, False)
                found |= _dense(f"{layer}.{block}.o", width, SIZE, False)
                found[f"{layer}.layer_norm.weight"] = (SIZE,)
            layer = f"{stack}.block.{number}.layer.{len(blocks)}"
            for name in ("wi_0", "wi_1") if gated else ("wi",):
                found |= _dense(f"{layer}.DenseReluDense.{name}", SIZE, INNER, False)
            found |= _dense(f"{layer}.DenseReluDense.wo", INNER, SIZE, False)
            found[f"{layer}.layer_norm.weight"] = (SIZE,)
        buckets = config["relative_attention_num_buckets"]
        found[f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = (buckets, heads)
        found[f"{stack}.final_layer_norm.weight"] = (SIZE,)
    return found


def _llama(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (config["vocab_size"], SIZE),
        "model.norm.weight": (SIZE,),
    }
    if not config["tie_word_embeddings"]:
        found["lm_head.weight"] = (config["vocab_size"], SIZE)
    size = config.get("head_dim", SIZE // config["num_attention_heads"])
    width, small = size * config["num_attention_heads"], size * config["num_key_value_heads"]
    biased = config["model_type"] == "qwen2" or config.get("attention_bias", False)
    inner = config.get("mlp_bias", False)
    for number in range(config["num_hidden_layers"]):
        layer = f"model.layers.{number}"
        for name, outputs in (("q_proj", width), ("k_proj", small), ("v_proj", small)):
            found |= _dense(f"{layer}.self_attn.{name}", SIZE, outputs, biased)
        found |= _dense(f"{layer}.self_attn.o_proj", width, SIZE, biased and config["model_type"] != "qwen2")
        for name in ("gate_proj", "up_proj"):
            found |= _dense(f"{layer}.mlp.{name}", SIZE, INNER, inner)
        found |= _dense(f"{layer}.mlp.down_proj", INNER, SIZE, inner)
        found |= {f"{layer}.input_layernorm.weight": (SIZE,), f"{layer}.post_attention_layernorm.weight": (SIZE,)}
    return found


def _dense(name: str, inputs: int, outputs: int, bias: bool) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs)} | ({f"{name}.bias": (outputs,)} if bias else {})
