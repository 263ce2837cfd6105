import pytest

from seqline.names import nearest


@pytest.mark.parametrize(
    ("name", "hint"),
    [("epoch", "did you mean 'epochs'?"), ("zzz", "available: dropout, epochs")],
)
def test_the_hint_names_the_nearest_or_all(name: str, hint: str) -> None:
    assert nearest(name, {"epochs", "dropout"}) == hint
