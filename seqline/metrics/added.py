"""The counters of plugins' metrics: what a package's function or class returns is checked, with its name in errors."""

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from seqline.errors import UserError
from seqline.metrics.batch import Batch
from seqline.metrics.counters import Counter
from seqline.plugins.contracts import MetricPlugin, accepted


def counter_of(plugin: MetricPlugin, package: str, language: str) -> Counter:
    """Creates the counter of a plugin's metric.

    Args:
        plugin: The metric.
        package: Name and version of its package, which are a part of the signature.
        language: Code of the target language.

    Raises:
        UserError: If a class has no signature or columns.
    """
    if inspect.isclass(plugin.implementation):
        return _Sums(plugin, package, language)
    return _Mean(plugin, package, language)


class _Mean:
    """The mean of a function's numbers."""

    columns = 2

    def __init__(self, plugin: MetricPlugin, package: str, language: str) -> None:
        self._plugin, self._language = plugin, language
        self.signature = f"mean|{package}"

    def count(self, batch: Batch) -> np.ndarray:
        """Returns the function's number, and 1, for each sentence."""
        given = {
            "sources": list(batch.sources),
            "references": list(batch.references),
            "outputs": list(batch.outputs),
            "language": self._language,
        }
        found = _called(self._plugin, self._plugin.implementation, accepted(self._plugin.implementation, given))
        numbers = _numbers(self._plugin, found, (len(batch),), "a number for each sentence")
        _finite(self._plugin, numbers, batch)
        return np.column_stack([numbers, np.ones(len(batch))])

    def score(self, sums: np.ndarray) -> np.ndarray:
        """Returns the mean."""
        return np.asarray(sums[:, 0] / np.maximum(sums[:, 1], 1))


class _Sums:
    """An instance of a plugin's class."""

    def __init__(self, plugin: MetricPlugin, package: str, language: str) -> None:
        kind = plugin.implementation
        self._plugin = plugin
        self._made = _called(plugin, kind, accepted(kind, {"language": language}))
        columns, signature = getattr(self._made, "columns", None), getattr(self._made, "signature", None)
        if not isinstance(columns, int) or columns < 1 or not isinstance(signature, str):
            raise UserError(
                f"the metric {plugin.name!r} is invalid: its class needs columns, a number of at least 1, and "
                f"signature, a text, not {columns!r} and {signature!r}"
            )
        self.columns = columns
        self.signature = f"{signature}|{package}"

    def count(self, batch: Batch) -> np.ndarray:
        """Returns the counts of the class."""
        found = _called(self._plugin, self._made.count, {"batch": batch}, positional=True)
        counts = _numbers(self._plugin, found, (len(batch), self.columns), "counts of shape (sentences, columns)")
        return _finite(self._plugin, counts, batch)

    def score(self, sums: np.ndarray) -> np.ndarray:
        """Returns the values of the class."""
        found = _called(self._plugin, self._made.score, {"sums": sums}, positional=True)
        values = _numbers(self._plugin, found, (len(sums),), "a value for each row of sums")
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            raise UserError(
                f"the metric {self._plugin.name!r} returned {values[wrong[0]]} for the sums {sums[wrong[0]].tolist()}: "
                "it must return a finite number for all sums, also for those of a few sentences"
            )
        return values


def _called(plugin: MetricPlugin, function: Any, arguments: Mapping[str, Any], positional: bool = False) -> Any:
    try:
        return function(*arguments.values()) if positional else function(**arguments)
    except (Exception, SystemExit) as error:
        raise UserError(f"the metric {plugin.name!r} fails: {type(error).__name__}: {error}") from error


def _numbers(plugin: MetricPlugin, found: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
    wanted = f"the metric {plugin.name!r} must return {what}"
    if isinstance(found, str | bytes) or not hasattr(found, "__len__"):
        raise UserError(f"{wanted}, not {type(found).__name__}")
    try:
        given = np.asarray(found)
        # Texts of digits and None would become numbers.
        wrong = given.dtype.kind not in "biufO" or any(one is None or isinstance(one, str) for one in given.flat)
        numbers = given.astype(np.float64) if not wrong else None
    except (TypeError, ValueError) as error:
        raise UserError(f"{wanted}: {error}") from None
    if numbers is None:
        kinds = sorted({type(one).__name__ for one in given.ravel().tolist()})
        raise UserError(f"{wanted}, not {' and '.join(kinds)}")
    if numbers.shape != shape:
        raise UserError(f"{wanted}, shape {shape}, not shape {numbers.shape}")
    return numbers


def _finite(plugin: MetricPlugin, numbers: np.ndarray, batch: Batch) -> np.ndarray:
    """Refuses numbers that would make the whole metric no number, with the sentence."""
    wrong = np.flatnonzero(~np.isfinite(numbers).reshape(len(batch), -1).all(axis=1))
    if len(wrong):
        value = next(one for one in numbers[wrong[0]].ravel().tolist() if not np.isfinite(one))
        output = batch.outputs[wrong[0]]
        raise UserError(
            f"the metric {plugin.name!r} returned {value} for the output {output[:80]!r}: it must return a finite "
            "number for every sentence"
        )
    return numbers
