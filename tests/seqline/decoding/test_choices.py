"""All choices of the model: its two forms give what the definitions give, and so does decoding with caches."""

from typing import Any

import numpy as np
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st

from seqline.decoding.decoder import Decoder
from seqline.decoding.scoring import log_probabilities
from seqline.decoding.search import search
from seqline.decoding.search_options import Search
from seqline.modeling.architectures import make_model
from seqline.modeling.config import TransformerConfig
from seqline.modeling.gpt import prompt
from seqline.modeling.language_model import LanguageModel, padded
from tests.examples import examples
from tests.families import LLAMA, LLAMA_3, MARIAN, QWEN, T5
from tests.seqline.decoding.reference import beam_search
from tests.seqline.modeling.definitions import logits

CHOICES: dict[str, Any] = {
    "num_heads": st.sampled_from([2, 4]),
    "num_kv_heads": st.sampled_from([None, 1, 2]),
    "head_dim": st.sampled_from([None, 2, 6]),
    "norm_placement": st.sampled_from(["pre", "post"]),
    "norm": st.sampled_from(["rms", "layer"]),
    "norm_epsilon": st.sampled_from([1e-6, 1e-2]),
    "positions": st.sampled_from(["sinusoidal", "learned", "rotary", "relative"]),
    "rope_scaling": st.sampled_from([None, {"kind": "linear", "factor": 2.5}, LLAMA_3["rope_scaling"]]),
    "activation": st.sampled_from(["relu", "gelu", "gelu_exact", "silu", "swiglu", "geglu"]),
    "attention_bias": st.sampled_from(["all", "qkv", "none"]),
    **dict.fromkeys(("feed_forward_bias", "embedding_scale", "query_scale", "logit_bias"), st.booleans()),
    "tied_embeddings": st.booleans(),
    "logit_scale": st.sampled_from([1.0, 0.25]),
}
TRANSFORMERS = st.fixed_dictionaries({**CHOICES, "start_id": st.sampled_from([None, 0, 7])})
GPTS = st.fixed_dictionaries(
    {
        **CHOICES,
        "architecture": st.just("gpt"),
        "encoder_layers": st.just(0),
        "prompt_form": st.sampled_from(["seqline", "template"]),
    }
)
SOURCES = [[11], [7, 8, 9, 4, 4, 10]]
LONGEST = 9  # longer than the first caches


def made(choices: dict[str, Any]) -> LanguageModel:
    tf.keras.utils.set_random_seed(1)
    shape = {"vocabulary_size": 20, "encoder_layers": 2, "decoder_layers": 2, "hidden_dim": 8, "intermediate_dim": 12}
    model = make_model(TransformerConfig(**{**shape, "num_heads": 2, "max_length": 32, **choices}))
    # Weights of zero or one would hide that they are unused.
    chooser = np.random.default_rng(2)
    model.set_weights([weight + chooser.normal(0, 0.3, weight.shape) for weight in model.get_weights()])
    return model


def entered(config: TransformerConfig, source: list[int]) -> tuple[list[int], list[int]]:
    """What the decoder takes, and what a target starts with."""
    if config.architecture == "transformer":
        return [*source, config.eos_id], [config.start]
    tokens = prompt(config, source)
    return tokens[:-1], tokens[-1:]


def inputs(config: TransformerConfig, sources: list[list[int]]) -> tf.Tensor:
    """The sources as serving has them."""
    with_end = [
        prompt(config, source) if config.prompt_form == "template" else [*source, config.eos_id] for source in sources
    ]
    return tf.constant(padded(with_end, config.padding))


def form(model: LanguageModel, source: list[int], target: list[int]) -> np.ndarray:
    """The training form's logits after each token of the target."""
    if model.config.architecture == "transformer":
        # More padding changes nothing.
        rows = padded([source, source], model.config.padding, len(source) + 2)
        return model((rows, np.array([target, target], np.int32)))[1].numpy()
    ids = np.array([source + target], np.int32)
    order = np.arange(ids.shape[1], dtype=np.int32)[None]
    return model((ids, np.ones_like(ids), order))[0, len(source) :].numpy()


@examples(3)
@given(st.one_of(TRANSFORMERS, GPTS))
@example(T5)
@example(MARIAN)
@example(LLAMA)
@example(QWEN)
@example(LLAMA_3)
@example({**LLAMA, "positions": "relative"})
def test_both_forms_give_what_the_definitions_give(choices: dict[str, Any]) -> None:
    model = made(choices)
    config = model.config
    decoder = Decoder(model, longest=2 * LONGEST)
    targets = [[5, 6, 12, 7, 9, 3, 11], [8]]
    with decoder.unpacked():
        ends = tf.constant(padded([[*target, config.eos_id] for target in targets], config.padding))
        scores, tokens = log_probabilities(decoder, inputs(config, SOURCES), ends)
        found = search(decoder, inputs(config, SOURCES), Search(beam_size=2, n_best=2, max_output_length=LONGEST))
    for number, (source, target) in enumerate(zip(SOURCES, targets, strict=True)):
        before, start = entered(config, source)
        expected = logits(model, before, [*start, *target])
        np.testing.assert_allclose(form(model, before, [*start, *target]), expected, atol=1e-4)
        gains = expected - np.logaddexp.reduce(expected, axis=1, keepdims=True)
        total = gains[np.arange(len(target) + 1), [*target, config.eos_id]].sum()
        np.testing.assert_allclose(scores[number], total, atol=1e-3)
        assert tokens[number] == len(target) + 1

        def next_logits(prefixes: np.ndarray, before: list[int] = before, start: list[int] = start) -> np.ndarray:
            return np.stack([logits(model, before, [*start, *row[1:].tolist()])[-1] for row in prefixes])

        options = Search(beam_size=2, n_best=2, max_output_length=LONGEST)
        for rank, (ids, score) in enumerate(
            beam_search(next_logits, options, -1, config.eos_id, config.suppressed_ids)
        ):
            np.testing.assert_allclose(found.scores[number, rank], score, atol=1e-3)
            assert plain(config, found.ids[number, rank].numpy()) == plain(config, ids)


def plain(config: TransformerConfig, ids: Any) -> list[int]:
    """The tokens that have text: an untrained T5 generates its padding token too."""
    return [int(token) for token in ids if token not in config.special_ids]
