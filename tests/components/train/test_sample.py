from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from seqline.components.train.sample import greedy, measure
from seqline.metrics.batch import Batch
from seqline.metrics.metrics import METRICS
from seqline.modeling.architectures import make_model
from seqline.modeling.config import TransformerConfig
from tests.families import LLAMA

PAIRS = [(np.array([5, 6, 7]), np.array([8])), (np.array([9]), np.array([10, 11]))]


@pytest.mark.parametrize(
    "choices",
    [{}, {"architecture": "gpt", "encoder_layers": 0}, {**LLAMA, "suppressed_ids": [4, 7, 9, 13]}],
    ids=["transformer", "gpt", "template"],
)
def test_every_token_is_the_most_probable_after_those_before_it(choices: dict[str, Any]) -> None:
    tf.keras.utils.set_random_seed(3)
    shape = {"hidden_dim": 8, "intermediate_dim": 16, "num_heads": 2, "encoder_layers": 1, "decoder_layers": 2}
    model = make_model(TransformerConfig(**{"vocabulary_size": 14, **shape, **choices}))
    (source, ids), starts = model.prompts(PAIRS, room=6)
    found = tf.function(greedy)(model, tf.constant(source), tf.constant(ids), tf.constant(starts)).numpy()
    logits = model.logits(model.continuation(source)(found)).numpy()
    logits[..., list(model.config.suppressed_ids)] = -np.inf
    expected = np.argmax(logits, axis=-1)
    for row, start in enumerate(starts):
        np.testing.assert_array_equal(found[row, : start + 1], ids[row, : start + 1])
        output = found[row, start + 1 : start + 7].tolist()
        ended = output.index(model.config.eos_id) + 1 if model.config.eos_id in output else len(output)
        assert output[:ended] == expected[row, start : start + ended].tolist()
        assert set(output[ended:]) <= {model.config.filler}


def test_outputs_equal_to_their_references_score_a_hundred_and_others_less() -> None:
    references = ["a small house by the river", "ein Haus am großen Fluss"]
    assert measure(references, references, "de") == pytest.approx({"valid_bleu": 100.0, "valid_rougeL": 100.0})
    worse = measure(["a small house by a tree", ""], references, "en")
    assert 0 < worse["valid_bleu"] < 60
    assert worse["valid_rougeL"] == pytest.approx(100 * (4 / 6) / 2)


@pytest.mark.parametrize("language", ["zh", "zho_Hans", "jpn_Jpan", "th", "de"])
def test_the_decoded_sample_is_measured_as_the_evaluation_does(language: str) -> None:
    references = ["年老的面包师在河边唱歌。", "他在花园里等待。", "ein Haus am großen Fluss"]
    outputs = ["年老的面包师在桥下唱歌。", "他在花园里唱歌。", "ein Haus am kleinen Fluss"]
    batch = Batch(references, references, outputs)
    for name, value in measure(outputs, references, language).items():
        counter = METRICS[name.removeprefix("valid_")].counts(language)
        assert value == pytest.approx(counter.score(counter.count(batch).sum(axis=0, keepdims=True))[0])


def test_bleu_of_a_partly_right_chinese_sample_is_not_zero() -> None:
    assert measure(["年老的面包师在桥下唱歌。"], ["年老的面包师在河边唱歌。"], "zho_Hans")["valid_bleu"] > 40
