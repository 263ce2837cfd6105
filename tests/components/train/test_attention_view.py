from types import SimpleNamespace
from typing import Any

import numpy as np
import tensorflow as tf

from seqline.components.train.attention_view import maps
from seqline.modeling.config import TransformerConfig
from seqline.modeling.transformer import Transformer


def test_the_first_map_of_a_pointer_is_what_it_copies() -> None:
    tf.keras.utils.set_random_seed(1)
    shape: dict[str, Any] = {"hidden_dim": 8, "intermediate_dim": 8, "encoder_layers": 1, "decoder_layers": 1}
    model = Transformer(TransformerConfig(vocabulary_size=20, num_heads=2, pointer=True, **shape))
    detokenizer: Any = SimpleNamespace(tokens=lambda ids: [str(token) for token in ids])
    pair = np.array([5, 6, 7], np.int32), np.array([6, 9], np.int32)
    first, *others = maps(model, pair, detokenizer)
    assert first.title == "probability to be copied"
    assert (first.across, first.down) == (["5", "6", "7", "⏎"], ["6", "9", "⏎"])
    pointed = model.hidden((np.array([[5, 6, 7, 3]], np.int32), np.array([[2, 6, 9]], np.int32)))
    expected = np.exp(pointed.scores[0]) / (1 + np.exp(pointed.gate[0]))[:, None]
    np.testing.assert_allclose(first.weights, expected, rtol=1e-5)
    assert len(others) == 1 + 2
