"""counts.json: the sums of shards, written and read."""

from pathlib import Path

import pytest

from seqline.artifacts.predictions import Counts, Predictions
from seqline.errors import UserError


def test_counts_are_added_with_sorted_reasons() -> None:
    total = Counts(3, 1, {"not_utf8": 2}) + Counts(4, 1, {"empty": 1, "not_utf8": 2})
    assert (total.lines, total.predicted, total.malformed) == (7, 2, 4)
    assert list(total.failed.items()) == [("empty", 1), ("not_utf8", 4)]


def test_counts_of_the_first_layout_are_read(tmp_path: Path) -> None:
    (tmp_path / "counts.json").write_text(
        '{"schema_version": 1, "lines": 3, "predicted": 2, "failed": {"empty": 1}, "model_fingerprint": "m", '
        '"data_fingerprint": "d"}'
    )
    assert Predictions(tmp_path).read_counts() == Counts(3, 2, {"empty": 1}, "m", "d")


def test_a_folder_without_counts_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"counts\.json is missing; run batch inference again"):
        Predictions(tmp_path).read_counts()
