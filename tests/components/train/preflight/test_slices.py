"""What is known of slices, and what they cost."""

from pathlib import Path

import pytest

from seqline.components.train.preflight.slices import TPUS, read_slice
from seqline.errors import UserError


@pytest.mark.parametrize(
    ("name", "chips", "replicas"),
    [("v2", 4, 8), ("v3:2x2", 4, 8), ("v4", 4, 8), ("v5e:1x1", 1, 1), ("v5e:4x4", 16, 16)],
)
def test_a_slice_has_chips_that_are_paid_and_cores_that_train(name: str, chips: int, replicas: int) -> None:
    found = read_slice(name)
    assert (found.chips, found.replicas) == (chips, replicas)
    assert found.price_per_hour == chips * found.price


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("v9:2x2", "there is no version 'v9'; there are: v2, v3, v4, v5e"),
        ("v5e:2", "'v5e:2' is no slice; write v5e:2x2"),
        ("v4:2x2", "'v4:2x2' is no slice; write v4:2x2x1"),
    ],
)
def test_a_slice_that_there_is_not_is_told(name: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_slice(name)


def test_prices_are_the_users_to_edit(tmp_path: Path) -> None:
    own = tmp_path / "tpus.yaml"
    own.write_text(TPUS.read_text().replace("price: 1.20", "price: 0.54").replace("currency: USD", "currency: EUR"))
    found = read_slice("v5e:2x2", own)
    assert (found.price_per_hour, found.currency) == (4 * 0.54, "EUR")


def test_a_file_that_is_none_is_told_by_name(tmp_path: Path) -> None:
    own = tmp_path / "tpus.yaml"
    own.write_text("versions: {v5e: {cores: many}}")
    with pytest.raises(UserError, match=r"tpus.yaml is no file of TPUs .*compare it with"):
        read_slice("v5e", own)
    own.write_text("{date: x, currency: USD, versions: {v5e: {cores: 1}}}")
    with pytest.raises(UserError, match="v5e is not described as it should be"):
        read_slice("v5e", own)
