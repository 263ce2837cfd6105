from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from seqline.components.train.batches import Batches
from seqline.components.train.history import describe
from seqline.components.train.objective import make_training_model
from seqline.components.train.options import Options
from seqline.components.train.trainer import Trainer
from seqline.components.train.working_state import WorkingState
from seqline.modeling.config import TransformerConfig

HISTORY = [
    {"epoch": 1, "valid_loss": 3.0, "valid_perplexity": 20.1, "valid_accuracy": 0.30, "valid_bleu": 5.0},
    {"epoch": 2, "valid_loss": 2.0, "valid_perplexity": 7.4, "valid_accuracy": 0.40, "valid_bleu": 9.0},
    {"epoch": 3, "valid_loss": 2.1, "valid_perplexity": 8.2, "valid_accuracy": 0.45, "valid_bleu": 12.0},
    {"epoch": 4, "valid_loss": 2.2, "valid_perplexity": 9.0, "valid_accuracy": 0.44, "valid_bleu": 13.0},
]


def trainer(tmp_path: Path, history: list[dict[str, float]], **options: Any) -> Trainer:
    model: Any = SimpleNamespace(distribute_strategy=tf.distribute.get_strategy())
    batches: Any = None
    made = Trainer(model, batches, batches, WorkingState(tmp_path), Options(**options))
    made.history = history
    return made


@pytest.mark.parametrize(("monitor", "best"), [("loss", 2), ("perplexity", 2), ("accuracy", 3), ("bleu", 4)])
def test_any_metric_selects_the_best_epoch_and_stops_training(tmp_path: Path, monitor: str, best: int) -> None:
    for patience in (1, 2, 3):
        made = trainer(tmp_path, HISTORY, monitor=monitor, patience=patience)
        assert made.best_epoch == best
        assert made.out_of_patience() == (4 - best >= patience)
    assert not trainer(tmp_path, HISTORY, monitor=monitor, patience=0).out_of_patience()


def test_of_equal_epochs_the_last_one_is_the_best(tmp_path: Path) -> None:
    assert trainer(tmp_path, [HISTORY[0], {**HISTORY[0], "epoch": 2}]).best_epoch == 2


def test_an_epoch_that_was_terminated_and_resumed_has_the_time_of_both_parts(tmp_path: Path) -> None:
    options = Options(epochs=1, decoded_sample=0, ema_momentum=0.0)
    shape = {"encoder_layers": 1, "decoder_layers": 1, "hidden_dim": 8, "intermediate_dim": 16, "num_heads": 2}
    config = TransformerConfig(vocabulary_size=30, **shape)
    batches = Batches([(np.full(3, 5, np.int32), np.full(3, 9, np.int32))] * 40, config, 64)

    def one_that_waits(seconds: float) -> Trainer:
        def wait(epoch: int) -> Batches:
            one.seconds += seconds
            return batches

        model = make_training_model(config, options, len(batches), compiled=False)
        one = Trainer(model, batches, batches, WorkingState(tmp_path), options, resample=wait)
        return one

    terminated = one_that_waits(1000.0)
    terminated.terminated = True
    with pytest.raises(SystemExit):
        terminated.run()
    (entry,) = one_that_waits(0.0).run()
    assert 1000 < entry["seconds"] < 2000
    assert entry["tokens_per_second"] == pytest.approx(4 * 40 / entry["seconds"])


def test_an_epoch_s_log_line_has_throughput_and_utilization() -> None:
    entry = {
        **HISTORY[2],
        "loss": 2.5,
        "tokens_per_second": 12345.6,
        "flop_utilization": 0.38,
        "lr": 0.002,
    }
    line = describe(entry, 20)
    assert line.startswith("epoch 3 of 20: loss 2.500, valid loss 2.100, valid accuracy 45.0%, BLEU 12.0, ")
    assert "12,346 target tokens/s, 38% of the matmul peak" in line
