"""What tokenize, train and infer say about how far they are; tune and evaluate are tested with their stages."""

import math
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from seqline.components.infer.position import Position as Inferring
from seqline.components.tokenize.position import Position as Tokenizing
from seqline.components.train.options import Options
from seqline.components.train.pace import Pace
from seqline.components.train.position import position


def test_tokenize_names_its_step_and_the_time_that_is_left() -> None:
    now = [0.0]
    tokenizing = Tokenizing(lambda: now[0])
    assert tokenizing({}) is None
    counts = {"blocks": 4}
    assert str(tokenizing(counts)) == "cleaning (0%), 0 rows"
    now[0] = 10.0
    counts |= {"clean_blocks": 1, "rows": 5000, "clean_pairs": 4000}
    assert str(tokenizing(counts)) == "cleaning (25%), 5,000 rows, 500 rows/s, 30 s left"
    counts |= {"split_pairs": 3000}
    assert str(tokenizing(counts)) == "splitting 3,000 of 4,000 pairs"
    assert str(tokenizing({**counts, "tokenizers": 1})) == "training the tokenizer"
    counts |= {"tokenizers": 1, "encoded_pairs": 0}
    tokenizing({**counts, "encoded_pairs": 1})
    now[0] = 20.0
    assert str(tokenizing({**counts, "encoded_pairs": 1000})) == (
        "encoding 1,000 of 3,000 pairs, 100 pairs/s, 20 s left"
    )


NAMES = ("blocks", "clean_blocks", "rows", "clean_pairs", "split_pairs", "tokenizers", "encoded_pairs")


@given(st.dictionaries(st.sampled_from(NAMES), st.integers(0, 10**9)), st.floats(0, 1e6))
def test_any_counts_make_a_record(counts: dict[str, int], seconds: float) -> None:
    # Counts of other processes arrive late, in any order.
    moments = iter([0.0, seconds])
    tokenizing = Tokenizing(lambda: next(moments, seconds))
    for record in (tokenizing(counts), tokenizing(counts)):
        assert record is None or record.share is None or record.share >= 0


def test_infer_counts_shards_texts_and_the_time_that_is_left() -> None:
    now = [0.0]
    inferring = Inferring(8, 10, 8000, lambda: now[0])
    assert inferring({}) is None
    now[0] = 20.0
    counts = {"predicted_texts": 400, "written_shards": 2, "written_bytes": 2000}
    assert str(inferring(counts)) == "4 of 10 shards, 20 texts/s, 1 min left".replace("1 min", "60 s")


def trainer(**changes: Any) -> Any:
    options = Options(preset="tiny", epochs=4, minutes=changes.pop("minutes", 0), monitor="bleu", decoded_sample=10)
    pace = Pace(options, 100)
    for _ in range(151):
        pace.advance(2.0, 0.0, 0.0)
    values: dict[str, Any] = {
        "options": options, "pace": pace, "epoch": 1, "step": 50, "train_batches": range(100),
        "history": [{"valid_loss": 3.5, "valid_bleu": 12.0, "valid_bleu_all": 13.0}],
        "validation_seconds": 10.0, "elapsed": 300.0,
    }  # fmt: skip
    return SimpleNamespace(**{**values, **changes})


def test_train_says_epoch_loss_validation_rate_and_time_left() -> None:
    record = position(trainer(), 2.5, 1000.0)
    assert str(record) == (
        "epoch 2 of 4 (50%), loss 2.5, valid loss 3.5, valid BLEU 13, 1,000 target tokens/s, 9 min left"
    )
    # 250 batches of 2 s, and three validations of 10 s.
    assert record.seconds_left == 530.0
    assert record.share == 150 / 400


def test_train_ends_with_its_minutes_if_they_end_first() -> None:
    record = position(trainer(minutes=10), 2.5, 1000.0)
    assert record.seconds_left == 300.0
    assert record.share == 0.5
    assert position(trainer(minutes=4), 2.5, 1000.0).seconds_left == 0.0


def test_the_first_batch_has_no_validation_and_no_time_left() -> None:
    record = position(
        trainer(pace=Pace(Options(preset="tiny", minutes=0), 100), history=[], epoch=0, step=1), math.nan, 1.0
    )
    assert record.seconds_left is None
    assert list(record.values) == ["loss"]
