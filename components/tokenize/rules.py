"""The cleaning rules by name: each can be switched on or off or get a threshold, and counts the rows that it rejects.

They are the usual rules of OpusFilter, bicleaner-hardrules and Moses. A row is counted by the first rule that rejects
it, in the order below: rules for single rows, then rules that compare rows, then rules that need tokens.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seqline.errors import UserError
from seqline.plugins.registry import RULES as PLUGINS

if TYPE_CHECKING:
    from seqline.components.tokenize.content import Mask
    from seqline.components.tokenize.filters import Pairs

_PARALLEL = ("translation",)
_WRITTEN = ("translation", "summarization", "question_answering")
_ALL = (*_WRITTEN, "text_generation")


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        about: The rows that it rejects, for reports.
        default: Its threshold if it is on; True if it has none.
        tasks: The tasks for which it is on by default.
        rejects: The function of `filters` that returns a mask of the pairs that it rejects; empty for rules that other
            modules of the stage apply.
    """

    about: str
    default: float | bool
    tasks: tuple[str, ...]
    rejects: str = ""


RULES = {
    "broken_encoding": Rule("text that was decoded wrongly", True, _ALL, "broken_encoding"),
    "markup": Rule("HTML or XML", True, _WRITTEN, "markup"),
    "url": Rule("a side that is only addresses", True, _WRITTEN, "url"),
    "too_few_characters": Rule("a side with fewer characters than this", 2, (), "too_few_characters"),
    "long_word": Rule("a word with more characters than this", 100, _WRITTEN, "long_word"),
    "symbols": Rule("a larger share of symbols than this", 0.6, _PARALLEL, "symbols"),
    "digits": Rule("a larger share of digits than this, in 20 characters or more", 0.8, _PARALLEL, "digits"),
    "numbers_differ": Rule("different numbers on the two sides", True, (), "numbers_differ"),
    "identical": Rule("both sides the same, with this many words or more", 3, _PARALLEL, "identical"),
    "wrong_script": Rule("a smaller share of letters in the language's script", 0.5, _PARALLEL, "wrong_script"),
    "duplicate": Rule("the same pair again", True, _ALL),
    "near_duplicate": Rule("the same pair but for case, punctuation and spacing", True, _ALL),
    "in_test": Rule("the source is in the test set", True, _ALL),
    "in_valid": Rule("the source is in the validation set", True, _ALL),
    "too_long": Rule("more tokens than max_tokens, in a side that is not truncated", True, _ALL),
    "length_ratio": Rule("a larger ratio of the sides' tokens than this", 9.0, _PARALLEL),
    "repeated": Rule("words repeated more often in a row than this", 5, _ALL),
}
"""All rules in the order of their application."""

MALFORMED = {
    "header": "the header again",
    "wrong_columns": "wrong number of columns",
    "not_utf8": "not UTF-8",
    "not_json": "not a JSON object",
    "not_csv": "not CSV",
    "missing_field": "no text in a field",
    "repeated_field": "a field set twice",
    "empty": "a side is empty",
}
"""Why a row is no pair at all; these are no rules and cannot be switched off."""

_ALWAYS = ("in_test", "in_valid", "too_long")


def find_rule(name: str) -> Rule:
    """Looks up a rule, of a plugin too; a plugin's is on where a run names it.

    Args:
        name: Its name.

    Raises:
        UserError: If there is no such rule.
    """
    if name in RULES:
        return RULES[name]
    plugin = PLUGINS.find(name, RULES)
    return Rule(plugin.about, True if plugin.threshold is None else plugin.threshold, ())


def reasons(rejected: Iterable[str]) -> dict[str, str]:
    """The reasons for rejecting a row in the order of the checks, in words.

    Args:
        rejected: Reasons that have rejected rows; rules of plugins among them come after our own.
    """
    known = MALFORMED | {name: rule.about for name, rule in RULES.items()}
    others = [name for name in rejected if name not in known]
    return known | {name: PLUGINS.find(name).about for name in others if name in PLUGINS.sources()}


def check_changes(changes: Mapping[str, Any]) -> None:
    """Checks changes of the rules.

    Args:
        changes: By rule: false for off, true for on, a number for on with that threshold.

    Raises:
        UserError: A rule is unknown, cannot be switched off, or its value is not a threshold.
    """
    for name, value in changes.items():
        rule = find_rule(name)
        if name in _ALWAYS and value is not True:
            raise UserError(f"{name} cannot be changed; the test set must stay out of training")
        if isinstance(value, bool):
            continue
        if not isinstance(value, int | float) or not value > 0 or rule.default is True:
            kind = "true or false" if rule.default is True else "true, false or a number above 0"
            raise UserError(f"{name} must be {kind}, not {value!r}")


def thresholds(task: str, changes: Mapping[str, Any]) -> dict[str, float]:
    """Returns the rules that apply, in order, with their thresholds; 1 for a rule without one.

    Args:
        task: The task, which decides the defaults.
        changes: As in `check_changes`.
    """
    chosen = {}
    added = {name: find_rule(name) for name in changes if name not in RULES}
    for name, rule in {**RULES, **added}.items():
        value = changes.get(name, task in rule.tasks)
        if value is not False:
            chosen[name] = float(rule.default if value is True else value)
    return chosen


def check(pairs: "Pairs", chosen: Mapping[str, float]) -> list[tuple[str, "Mask"]]:
    """Applies the rules for single rows; each row is in the mask of the first rule that rejects it.

    Args:
        pairs: Cleaned pairs.
        chosen: The rules that apply, from `thresholds`.
    """
    import numpy as np

    from seqline.components.tokenize import added, filters

    accepted = np.ones(len(pairs), bool)
    found = []
    for name, threshold in chosen.items():
        if name not in RULES:
            # Only what is still accepted: a plugin's function gets lists of texts, which are slow to make.
            rejected = added.rejected(PLUGINS.find(name), pairs, threshold, accepted)
        elif rejects := RULES[name].rejects:
            rejected = getattr(filters, rejects)(pairs, threshold) & accepted
        else:
            continue
        if rejected.any():
            accepted &= ~rejected
            found.append((name, rejected))
    return found
