"""Slices and their prices."""

from pathlib import Path

import pytest

from seqline.components.train.preflight.slices import TPUS, read_slice
from seqline.errors import UserError


@pytest.mark.parametrize(
    ("name", "chips", "replicas"),
    [("v2", 4, 8), ("v3:2x2", 4, 8), ("v4", 4, 8), ("v5e:1x1", 1, 1), ("v5e:4x4", 16, 16)],
)
def test_a_slice_has_a_price_by_chips_and_replicas_by_cores(name: str, chips: int, replicas: int) -> None:
    found = read_slice(name)
    assert (found.chips, found.replicas) == (chips, replicas)
    assert found.price_per_hour == chips * found.price


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("v9:2x2", "there is no version 'v9'; did you mean 'v"),
        ("v5e:2", "'v5e:2' is not a slice; write v5e:2x2"),
        ("v4:2x2", "'v4:2x2' is not a slice; write v4:2x2x1"),
    ],
)
def test_an_unknown_slice_is_refused(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_slice(name)


def test_users_can_edit_prices(tmp_path: Path) -> None:
    own = tmp_path / "tpus.yaml"
    own.write_text(TPUS.read_text().replace("price: 1.20", "price: 0.54").replace("currency: USD", "currency: EUR"))
    found = read_slice("v5e:2x2", own)
    assert (found.price_per_hour, found.currency) == (4 * 0.54, "EUR")


def test_an_invalid_file_is_named(tmp_path: Path) -> None:
    own = tmp_path / "tpus.yaml"
    own.write_text("versions: {v5e: {cores: many}}")
    with pytest.raises(UserError, match=r"tpus.yaml is not a valid file of TPUs .*compare it with"):
        read_slice("v5e", own)
    own.write_text("{date: x, currency: USD, versions: {v5e: {cores: 1}}}")
    with pytest.raises(UserError, match="the entry v5e is not valid"):
        read_slice("v5e", own)
