from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from seqline.components.train.batches import Batches
from seqline.components.train.objective import TrainingModel
from seqline.components.train.optimizer import Adam
from seqline.components.train.pairs import HeldPairs
from seqline.modeling.architectures import make_model
from seqline.modeling.config import TransformerConfig

CONFIG = TransformerConfig(
    vocabulary_size=30,
    encoder_layers=1,
    decoder_layers=1,
    hidden_dim=8,
    intermediate_dim=16,
    num_heads=2,
    max_length=32,
)


class Traced(TrainingModel):
    """Counts how often its loss is traced."""

    traces = 0

    def compute_loss(self, *arguments: Any, **named: Any) -> Any:
        self.traces += 1
        return super().compute_loss(*arguments, **named)


@pytest.mark.parametrize(
    "compiled", [pytest.param(True, id="xla", marks=pytest.mark.e2e), pytest.param(False, id="plain")]
)
def test_the_step_is_traced_in_the_first_pass_over_the_buckets_and_never_again(compiled: bool) -> None:
    tf.keras.utils.set_random_seed(1)
    pairs = [(np.full(length, 5, np.int32), np.full(length, 9, np.int32)) for length in (3, 3, 3, 6, 6)]
    batches = Batches(HeldPairs(pairs), CONFIG, batch_tokens=16, buckets=2)
    assert len({(bucket.rows, bucket.target) for bucket in batches.buckets}) == 2
    model = Traced(make_model(CONFIG))
    model.compile(optimizer=Adam(0.01), jit_compile=compiled)
    losses, traces = [], []
    for epoch in range(2):
        fitted = model.fit(batches.dataset(1, epoch), steps_per_epoch=len(batches), verbose=0)
        losses.append(fitted.history["loss"][0])
        traces.append(model.traces)
    assert traces[0] == traces[1]
    assert losses[1] < losses[0]
