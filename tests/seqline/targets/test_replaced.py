from types import SimpleNamespace

import pytest

from seqline.targets.replaced import replaced


def test_the_previous_value_is_restored_also_after_an_error() -> None:
    owner = SimpleNamespace(name="kfp's")
    with pytest.raises(ZeroDivisionError), replaced(owner, "name", "ours"):
        assert owner.name == "ours"
        _ = 1 / 0
    assert owner.name == "kfp's"


def test_a_name_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(AttributeError), replaced(SimpleNamespace(), "moved", "ours"):
        pass
