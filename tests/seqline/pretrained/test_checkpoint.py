"""Which checkpoints are read, and with which message others are refused, before anything is trained."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from seqline.artifacts.text_tokenizer import TextTokenizer
from seqline.errors import UserError
from seqline.modeling.config import RopeScaling, TransformerConfig
from seqline.pretrained.checkpoint import FAMILIES, read_pretrained
from seqline.pretrained.fields import Fields
from seqline.pretrained.fitting import fitted
from tests import pretrained_checkpoints as checkpoints

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return lambda family, **rest: checkpoints.write(tmp_path / family, family, **rest)


def config_of(write: Write, family: str, **changes: Any) -> TransformerConfig:
    return read_pretrained(write(family, config=changes)).config


@pytest.mark.parametrize("family", checkpoints.CONFIGS)
def test_every_family_is_read(family: str, write: Write) -> None:
    found = read_pretrained(write(family))
    assert found.family == checkpoints.CONFIGS[family]["model_type"]
    assert found.config.vocabulary_size == checkpoints.VOCABULARY
    assert found.config.max_length == 64
    assert {part.name for parts in found.recipes.parts.values() for part in parts} == set(found.tensors.found)


def test_each_family_s_choices_are_those_of_its_paper(write: Write) -> None:
    marian, old, new = (config_of(write, name) for name in ("marian", "t5", "t5_v1_1"))
    assert (marian.norm_placement, marian.norm, marian.activation, marian.logit_bias) == ("post", "layer", "silu", True)
    assert marian.start == marian.pad_id == 79
    assert marian.suppressed_ids == (79,)
    assert (old.activation, old.logit_scale, old.query_scale) == ("relu", 32**-0.5, False)
    assert (new.activation, new.logit_scale, new.tied_embeddings) == ("geglu", 1.0, False)
    llama, qwen, mistral = (config_of(write, name) for name in ("llama3", "qwen2", "mistral"))
    assert llama.rope_scaling == RopeScaling(kind="llama3", factor=4.0, original_max_length=32)
    assert (llama.head_size, llama.kv_heads, llama.rope_theta) == (12, 2, 500000.0)
    assert (qwen.attention_bias, qwen.kv_heads, mistral.attention_bias, mistral.kv_heads) == ("qkv", 2, "none", 1)


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        (
            "llama2",
            {"model_type": "gpt_neox"},
            r"model_type 'gpt_neox' is not supported; supported are llama, marian, mi",
        ),
        ("llama2", {"quantization_config": {"bits": 4}}, "quantization_config .* is not supported for llama"),
        ("llama2", {"hidden_act": "gelu"}, r'hidden_act "gelu" is not supported for llama; supported is "silu"'),
        ("llama2", {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "rope_scaling .*yarn.* linear or llama3"),
        ("llama2", {"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "rope_type default, linear or llama3"),
        ("llama2", {"rope_scaling": {"type": "linear"}}, "rope_type linear with factor, all above 0"),
        ("llama2", {"rope_scaling": {"type": "linear", "factor": -1.0}}, "rope_type linear with factor, all above 0"),
        (
            "llama2",
            {"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}},
            "rope_parameters .* not",
        ),
        ("llama2", {"partial_rotary_factor": 0.5}, "partial_rotary_factor 0.5 is an option that Seqline does not know"),
        (
            "llama2",
            {"logit_softcapping": 30.0},
            "logit_softcapping 30.0 is an option that Seqline does not know for llam",
        ),
        ("llama2", {"bos_token_id": 200}, "bos_id 200 is not a token of a vocabulary of 80; copy the checkpoint again"),
        ("llama2", {"num_key_value_heads": 3}, "num_heads 4 must be a multiple of num_kv_heads .3."),
        ("llama2", {"rope_interleaved": True}, "rope_interleaved true is not supported"),
        ("llama2", {"hidden_size": None}, "has no hidden_size, which llama models need"),
        ("llama2", {"hidden_size": "32"}, 'hidden_size is "32", but must be a positive integer'),
        ("llama2", {"tie_word_embeddings": "yes"}, "tie_word_embeddings is .*, but must be true or false"),
        (
            "qwen2",
            {"use_sliding_window": True},
            "use_sliding_window true is not supported for qwen2; supported is false",
        ),
        ("qwen2", {"layer_types": ["sliding_attention"] * 2}, "layer_types .* is not supported"),
        (
            "mistral",
            {"sliding_window": 16},
            "sliding_window 16 is not supported .* at least max_position_embeddings .64",
        ),
        ("mistral", {"attention_bias": True}, "attention_bias true is not supported for mistral"),
        ("qwen2", {"mlp_bias": True}, "mlp_bias true is not supported"),
        ("t5", {"feed_forward_proj": "gated-relu"}, 'feed_forward_proj "gated-relu" is not supported for t5'),
        ("t5", {"is_encoder_decoder": False}, "is_encoder_decoder false is not supported for t5; supported is true"),
        ("t5", {"pruned_heads": {"0": [1]}}, "pruned_heads .* is not supported"),
        ("marian", {"normalize_before": True}, "normalize_before true is not supported for marian; supported is false"),
        (
            "marian",
            {"share_encoder_decoder_embeddings": False},
            "share_encoder_decoder_embeddings false is not supported",
        ),
        ("marian", {"tie_word_embeddings": False}, "tie_word_embeddings false is not supported for marian"),
        ("marian", {"decoder_attention_heads": 8}, "decoder_attention_heads 8 is not supported .* supported is 4"),
        ("marian", {"activation_function": "tanh"}, 'activation_function "tanh" is not supported'),
        ("marian", {"bad_words_ids": [[1, 2]]}, "bad_words_ids .* a list of lists of one token each"),
    ],
)
def test_an_unsupported_option_is_refused_by_name(
    family: str, changes: dict[str, Any], message: str, write: Write
) -> None:
    with pytest.raises(UserError, match=rf"config.json:? .*{message}") as refused:
        config_of(write, family, **changes)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("llama2", {"pretraining_tp": 2, "_name_or_path": "x", "use_cache": False, "torch_dtype": "bfloat16"}),
        ("llama2", {"transformers.js_config": {"a": 1}, "unsloth_version": "2026.1", "rope_scaling": None}),
        ("llama2", {"some_new_option": None, "another": False, "a_third": []}),
        ("llama2", {"rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"}}),
        ("qwen2", {"layer_types": ["full_attention"] * 2, "sliding_window": None}),
        ("mistral", {"sliding_window": 4096}),
        ("marian", {"add_final_layer_norm": False, "extra_pos_embeddings": 80, "num_hidden_layers": 2}),
        ("t5", {"dense_act_fn": "relu", "is_gated_act": False, "task_specific_params": {"a": {"prefix": "b: "}}}),
    ],
)
def test_options_without_influence_are_accepted(family: str, changes: dict[str, Any], write: Write) -> None:
    assert config_of(write, family, **changes) == config_of(write, family)


def test_a_mistral_without_a_window_in_its_file_has_one_of_4096(write: Write) -> None:
    folder = write("mistral", config={"max_position_embeddings": 8192})
    file = folder / "config.json"
    values = json.loads(file.read_text())
    del values["sliding_window"]
    file.write_text(json.dumps(values))
    with pytest.raises(UserError, match="sliding_window 4096 is not supported"):
        read_pretrained(folder)


def test_every_supported_family_is_tried() -> None:
    assert {config["model_type"] for config in checkpoints.CONFIGS.values()} == set(FAMILIES)


@given(
    st.dictionaries(st.text(min_size=1), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.none()))
)
def test_a_field_is_read_known_off_or_refused(values: dict[str, Any]) -> None:
    fields = Fields(json.dumps({**values, "model_type": "llama"}), "config.json")
    unknown = {
        name
        for name, value in values.items()
        if value and name not in fields.known and not name.startswith(("_", "transformers", "unsloth"))
    }
    if unknown:
        with pytest.raises(UserError, match="is an option that Seqline does not know"):
            fields.finish()
    else:
        fields.finish()


@pytest.mark.parametrize("text", ["", "[]", "{", "{}", '{"model_type": 3}', "\x00"])
def test_a_config_that_is_none_is_one_message(text: str, write: Write) -> None:
    folder = write("llama2")
    (folder / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config.json (is not JSON|has no model_type)"):
        read_pretrained(folder)


# Weights.


def test_a_missing_an_extra_and_a_misshapen_tensor_are_named(write: Write) -> None:
    folder = write("qwen2")
    file = folder / "model.safetensors"
    weights = load_file(file)
    name = "model.layers.1.self_attn.k_proj.bias"
    save_file({key: value for key, value in weights.items() if key != name}, file)
    with pytest.raises(UserError, match=rf"qwen2 has no tensor {name}, which its config.json needs"):
        read_pretrained(folder)
    save_file({**weights, "model.layers.2.mlp.up_proj.weight": weights["model.norm.weight"]}, file)
    with pytest.raises(UserError, match=r"model.safetensors: the model does not use the tensor model.layers.2.mlp"):
        read_pretrained(folder)
    save_file({**weights, name: np.zeros(7, np.float32)}, file)
    with pytest.raises(UserError, match=rf"model.safetensors: the tensor {name} is \[7\], but by config.json \[16\]"):
        read_pretrained(folder)
    save_file({**weights, name: np.zeros(16, np.int8)}, file)
    with pytest.raises(UserError, match=rf"the tensor {name} has type I8, as in a quantized checkpoint"):
        read_pretrained(folder)


@pytest.mark.parametrize("end", [0, 4, 8, 40, -1, -5000])
def test_a_file_that_is_cut_short_is_named_with_the_tensor(end: int, write: Write) -> None:
    file = write("llama2") / "model.safetensors"
    file.write_bytes(file.read_bytes()[:end])
    with pytest.raises(
        UserError, match=r"model.safetensors is (truncated: it has .* tensor \S+|not a safetensors file)"
    ):
        read_pretrained(file.parent)


@pytest.mark.parametrize(
    "content", [b"<html>404</html>" * 9, b"version https://git-lfs.github.com/spec/v1\noid sha256:0"]
)
def test_a_page_instead_of_weights_is_one_message(content: bytes, write: Write) -> None:
    file = write("llama2") / "model.safetensors"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"model.safetensors is not a safetensors file, or is truncated"):
        read_pretrained(file.parent)


def test_shards_are_one_checkpoint(tmp_path: Path) -> None:
    whole = read_pretrained(checkpoints.write(tmp_path / "whole", "t5"))
    parts = read_pretrained(checkpoints.write(tmp_path / "parts", "t5", shards=3))
    for name in whole.tensors.found:
        assert np.array_equal(whole.tensors.read(name), parts.tensors.read(name))


def test_a_shard_that_lacks_its_tensor_is_named(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "parts", "t5", shards=2)
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"]["shared.weight"] = "model-00002-of-00002.safetensors"
    index.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"model-00002-of-00002.safetensors has no tensor shared.weight, which .*index"):
        read_pretrained(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(UserError, match=r"model-00002-of-00002.safetensors is missing"):
        read_pretrained(folder)


@pytest.mark.parametrize(("kind", "error"), [("float32", 0.0), ("float16", 2e-3), ("bfloat16", 1e-2), ("float64", 0.0)])
def test_all_types_of_floats_are_read(kind: str, error: float, write: Write) -> None:
    found, weights = read_pretrained(write("llama2", kind=kind)), checkpoints.weights_of("llama2")
    for name, value in weights.items():
        read = found.tensors.read(name)
        assert read.dtype == np.float32
        assert np.abs(read - value).max() <= error * np.abs(value).max()


@pytest.mark.parametrize(("kind", "largest"), [("float16", 65504.0), ("bfloat16", 3e38)])
def test_the_largest_numbers_of_a_type_do_not_overflow(kind: str, largest: float, write: Write) -> None:
    weights = checkpoints.weights_of("llama2")
    weights["model.norm.weight"][:] = largest
    tensors = read_pretrained(write("llama2", kind=kind, weights=weights)).tensors
    assert np.allclose(tensors.read("model.norm.weight"), largest, rtol=0.01)


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_a_value_that_is_not_finite_is_refused(value: float, write: Write) -> None:
    weights = checkpoints.weights_of("llama2")
    weights["model.norm.weight"][3] = value
    tensors = read_pretrained(write("llama2", weights=weights)).tensors
    with pytest.raises(UserError, match=r"the tensor model.norm.weight has values that are not finite"):
        tensors.read("model.norm.weight")


def test_tied_weights_that_differ_are_refused(write: Write) -> None:
    weights = checkpoints.weights_of("t5")
    same = {
        **weights,
        "lm_head.weight": weights["shared.weight"],
        "encoder.embed_tokens.weight": weights["shared.weight"],
    }
    found = read_pretrained(write("t5", weights=same))
    found.tensors.check_copies(found.recipes)
    found = read_pretrained(write("t5", weights={**same, "lm_head.weight": 2 * weights["shared.weight"]}))
    with pytest.raises(UserError, match=r"tensor lm_head.weight differs from shared.weight, but config.json ties them"):
        found.tensors.check_copies(found.recipes)


# What the tokenizer and generation_config.json say.


def tokenizer(size: int, end: int = 2) -> TextTokenizer:
    return TextTokenizer("bpe", {}, size, end=end)


def test_tokens_of_a_padded_vocabulary_are_never_generated(write: Write) -> None:
    config = read_pretrained(write("qwen2")).config
    assert fitted(config, tokenizer(77), "it").suppressed_ids == (77, 78, 79)


def test_a_tokenizer_that_does_not_fit_the_embedding_is_refused(write: Write) -> None:
    with pytest.raises(UserError, match=r"here: the tokenizer has 81 tokens, but the model only 80; copy both"):
        fitted(read_pretrained(write("qwen2")).config, tokenizer(81), "here")


@pytest.mark.parametrize(("end", "others"), [(79, (2, 78)), (78, (2, 79)), (5, (78, 79))])
def test_of_several_ends_training_learns_the_tokenizer_s_and_any_ends(
    end: int, others: tuple[int, ...], write: Write
) -> None:
    folder = write("llama2", config={"eos_token_id": [2, 78]})
    (folder / "generation_config.json").write_text('{"eos_token_id": [78, 79]}')
    # Beyond the tokenizer, but an end.
    config = fitted(read_pretrained(folder).config, tokenizer(79, end), "it")
    assert config.eos_id == (end if end > 5 else 2)
    assert config.other_eos_ids == others
    assert not {2, 78, 79} & set(config.suppressed_ids)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ('{"eos_token_id": ["a"]}', "must be token IDs"),
        ('{"eos_token_id": 80}', "80 is no"),
    ],
)
def test_a_generation_config_that_is_none_is_one_message(content: str, message: str, write: Write) -> None:
    folder = write("llama2")
    (folder / "generation_config.json").write_text(content)
    with pytest.raises(UserError, match=message):
        read_pretrained(folder)


def test_a_checkpoint_without_a_beginning_token_has_none(write: Write) -> None:
    assert config_of(write, "llama2", bos_token_id=None).bos_id is None
    assert config_of(write, "llama2").bos_id == 1
