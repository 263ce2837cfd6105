import numpy as np
import pytest
import tensorflow as tf

from seqline.components.train.sample import greedy, measure
from seqline.modeling.architectures import make_model
from seqline.modeling.config import TransformerConfig

PAIRS = [(np.array([5, 6, 7]), np.array([8])), (np.array([9]), np.array([10, 11]))]


@pytest.mark.parametrize("architecture", ["transformer", "gpt"])
def test_every_token_is_the_most_probable_after_those_before_it(architecture: str) -> None:
    tf.keras.utils.set_random_seed(3)
    layers = {"encoder_layers": 0 if architecture == "gpt" else 1, "decoder_layers": 2}
    shape = {"hidden_dim": 8, "intermediate_dim": 16, "num_heads": 2, **layers}
    model = make_model(TransformerConfig(vocabulary_size=14, architecture=architecture, **shape))  # type: ignore[arg-type]
    (source, ids), starts = model.prompts(PAIRS, room=6)
    found = tf.function(greedy)(model, tf.constant(source), tf.constant(ids), tf.constant(starts)).numpy()
    expected = np.argmax(model.logits(model.continuation(source)(found)), axis=-1)
    for row, start in enumerate(starts):
        np.testing.assert_array_equal(found[row, : start + 1], ids[row, : start + 1])
        output = found[row, start + 1 : start + 7].tolist()
        ended = output.index(model.config.eos_id) + 1 if model.config.eos_id in output else len(output)
        assert output[:ended] == expected[row, start : start + ended].tolist()
        assert set(output[ended:]) <= {model.config.pad_id}


def test_outputs_equal_to_their_references_score_a_hundred_and_others_less() -> None:
    references = ["a small house by the river", "ein Haus am großen Fluss"]
    assert measure(references, references) == pytest.approx({"valid_bleu": 100.0, "valid_rougeL": 100.0})
    worse = measure(["a small house by a tree", ""], references)
    assert 0 < worse["valid_bleu"] < 60
    assert worse["valid_rougeL"] == pytest.approx(100 * (4 / 6) / 2)
