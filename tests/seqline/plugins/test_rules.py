"""A cleaning rule of a plugin is switched on by its name, counts the rows that it rejects, and is in the report."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from seqline.components.snapshot.added import with_plugins
from seqline.components.tokenize.filters import Pairs
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.rules import check, reasons, thresholds
from seqline.errors import UserError
from seqline.plugins.registry import RULES
from seqline.schema.sections import resolve
from tests.plugin_packages import installed, write_package

RULE = """
from seqline.plugins import rule

@rule("loud", about="a larger share of capital letters than this", threshold=0.5)
def loud(targets, threshold):
    return [sum(map(str.isupper, text)) > threshold * len(text) for text in targets]

@rule("named", about="the name of a test")
def named(sources):
    return ["test" in text for text in sources]
"""
TARGETS = ["quiet", "LOUD", "Medium", "LOUD TOO"]


@pytest.fixture(autouse=True)
def package(tmp_path: Path) -> Iterator[Path]:
    write_package(tmp_path / "site", "my-rules", "3", RULE, {"rules:loud": "loud", "rules:named": "named"})
    with installed(tmp_path / "site"):
        yield tmp_path / "site"


def rejected(**rules: object) -> dict[str, list[int]]:
    pairs = Pairs(pa.array(["a", "b", "a test", "<b>d</b>"]), pa.array(TARGETS), ("en", "de"))
    return {name: mask.nonzero()[0].tolist() for name, mask in check(pairs, thresholds("translation", rules))}


def test_it_is_off_until_a_run_names_it() -> None:
    assert rejected() == {"markup": [3]}


def test_it_rejects_what_no_rule_before_it_rejected() -> None:
    assert rejected(loud=True, named=True) == {"markup": [3], "loud": [1], "named": [2]}
    assert rejected(loud=True, markup=False) == {"loud": [1, 3]}


def test_its_threshold_can_be_changed() -> None:
    assert rejected(loud=0.1) == {"markup": [3], "loud": [1, 2]}
    with pytest.raises(UserError, match=r"named must be true or false, not 0.5"):
        Options(rules={"named": 0.5})
    with pytest.raises(UserError, match=r"no rule 'lout'; did you mean 'loud'"):
        Options(rules={"lout": True})


def test_reports_say_in_words_which_rows_it_rejects() -> None:
    assert reasons(["markup", "loud"])["loud"] == "a larger share of capital letters than this"
    assert "loud" not in reasons(["markup"])
    assert reasons(["header"]) == reasons([])


@pytest.mark.parametrize("body", ["return [True]", "return ['yes'] * len(targets)", "return 1 / 0"])
def test_what_it_returns_is_checked(body: str, tmp_path: Path) -> None:
    code = f"from seqline.plugins import rule\n@rule('odd', about='x')\ndef odd(targets):\n  {body}\n"
    write_package(tmp_path / "odd", "odd-rules", "1", code, {"rules:odd": "odd"})
    with installed(tmp_path / "odd"), pytest.raises(UserError, match=r"the rule 'odd' (must return|fails)"):
        rejected(odd=True)


def test_snapshot_adds_the_fingerprint_of_the_rules_that_are_on() -> None:
    def plugins(**rules: object) -> dict[str, str]:
        found: dict[str, str] = with_plugins(resolve({}, {"corpus": {"rules": rules}}))["corpus"].model_dump()[
            "plugins"
        ]
        return found

    assert plugins(loud=True, named=False, markup=True) == {"loud": RULES.fingerprint("loud")}
    assert plugins(named=False) == plugins() == {}


def test_a_corpus_has_the_fingerprint_only_where_a_plugin_made_it() -> None:
    assert "plugins" not in Options().content()
    assert Options(plugins={"loud": "my-rules==3 abc"}).content()["plugins"] == {"loud": "my-rules==3 abc"}
