"""Choices of the model as checkpoints of three families make them, for small shapes and vocabularies of 20 tokens."""

from typing import Any

Choices = dict[str, Any]

T5: Choices = {
    "positions": "relative",
    "relative_buckets": 8,
    "relative_max_distance": 9,
    "attention_bias": "none",
    "feed_forward_bias": False,
    "embedding_scale": False,
    "query_scale": False,
    "activation": "geglu",
    "head_dim": 3,
    "logit_scale": 8**-0.5,
    "pad_id": 0,
    "eos_id": 1,
    "unk_id": 2,
    "bos_id": None,
    "start_id": 0,
    "suppressed_ids": [18, 19],
}
MARIAN: Choices = {
    "norm_placement": "post",
    "norm": "layer",
    "norm_epsilon": 1e-5,
    "activation": "silu",
    "logit_bias": True,
    "pad_id": 19,
    "eos_id": 0,
    "unk_id": 1,
    "bos_id": None,
    "start_id": 19,
    "suppressed_ids": [19],
}
LLAMA: Choices = {
    "architecture": "gpt",
    "encoder_layers": 0,
    "positions": "rotary",
    "rope_theta": 100000.0,
    "num_heads": 4,
    "num_kv_heads": 2,
    "norm_epsilon": 1e-5,
    "attention_bias": "none",
    "feed_forward_bias": False,
    "embedding_scale": False,
    "activation": "swiglu",
    "prompt_form": "template",
    "pad_id": 2,
    "unk_id": None,
    "bos_id": 1,
    "eos_id": 2,
}
QWEN: Choices = {**LLAMA, "attention_bias": "qkv", "pad_id": None, "tied_embeddings": False}
LLAMA_3: Choices = {
    **LLAMA,
    "num_kv_heads": 1,
    "head_dim": 6,
    "rope_scaling": {"kind": "llama3", "factor": 8, "original_max_length": 40},
}
