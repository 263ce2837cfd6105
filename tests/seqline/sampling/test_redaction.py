"""The user's function that texts pass: whatever it does, the raw text is not stored instead."""

import sys
from types import ModuleType

import pytest

from seqline.errors import UserError
from seqline.sampling.redaction import Redaction, find_hook


@pytest.fixture(autouse=True)
def hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("own_hooks")

    def fail(text: str) -> str:
        raise ValueError(f"cannot redact {text}")

    module.stars = lambda text: "*" * len(text)  # type: ignore[attr-defined]
    module.none = lambda text: None  # type: ignore[attr-defined]
    module.fail = fail  # type: ignore[attr-defined]
    module.half = lambda text: "\ud800"  # type: ignore[attr-defined]
    module.number = 3  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_hooks", module)


def test_a_text_is_stored_as_the_function_returns_it() -> None:
    assert Redaction("own_hooks:stars")("secret") == "******"
    assert Redaction("own_hooks:stars")(None) is None
    assert Redaction()("secret") == "secret"


@pytest.mark.parametrize(
    "name", ["own_hooks:fail", "own_hooks:none", "own_hooks:half", "own_hooks:missing", "no_such_module:x"]
)
def test_a_function_that_fails_drops_the_text_and_says_so_once(name: str, caplog: pytest.LogCaptureFixture) -> None:
    redaction = Redaction(name)
    assert [redaction("secret"), redaction("secret")] == [None, None]
    (record,) = caplog.records
    assert record.getMessage().startswith(f"redact: {name} ")
    assert record.getMessage().endswith("; such texts are not stored")
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own_hooks", "'own_hooks' does not name a function; write module:function, as in my_package.privacy:redact"),
        ("os;own_hooks:stars", "does not name a function"),
        ("own_hooks:number", "own_hooks:number is not a function, but a int"),
        ("own_hooks:missing", "cannot be imported (AttributeError"),
        ("no_such_module:x", "install its package where the server runs"),
    ],
)
def test_a_function_that_is_not_there_is_refused_before_anything_is_served(name: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        find_hook(name)
    assert message in str(error.value)
