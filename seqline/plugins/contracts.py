"""The contracts of plugins: a decorator for each kind, what it declares, and what is wrong with a declaration.

A decorator returns what it decorates, so a plugin's own tests call it as it is.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
TASKS = ("translation", "summarization", "question_answering", "text_generation")
FAMILIES = ("transformer", "gpt")
MARK = "__seqline_plugin__"


class Plugin(Protocol):
    """What a decorator declares.

    Attributes:
        name: The plugin's name, which is also the entry point's.
        implementation: The decorated function or class.
    """

    DECORATOR: ClassVar[str]

    @property
    def name(self) -> str:
        """See the class."""
        ...

    @property
    def implementation(self) -> Callable[..., Any]:
        """See the class."""
        ...

    def problems(self) -> Iterator[str]:
        """Yields what does not fit the contract, each as a sentence without its end."""
        ...


@dataclass(frozen=True)
class MetricPlugin:
    """A metric of the test set.

    Attributes:
        name: Its key in artifacts, rules and parameters.
        implementation: A function of `sources`, `references`, `outputs` (lists of texts) and `language`, or of some of
            them, that returns a number for each sentence: the metric is their mean. Or a class with the methods of
            `seqline.metrics.counters.Counter`, which is constructed with the target's language.
        higher_is_better: Its direction; None where neither is better, and rules can only set limits.
        label: Its name in reports.
        tasks: The tasks it can be measured for.
    """

    DECORATOR: ClassVar[str] = "metric"
    ARGUMENTS: ClassVar = ("sources", "references", "outputs", "language")
    METHODS: ClassVar = ("count", "score")

    name: str
    implementation: Callable[..., Any]
    higher_is_better: bool | None
    label: str
    tasks: tuple[str, ...]

    def problems(self) -> Iterator[str]:
        """Yields what does not fit the contract."""
        if self.higher_is_better not in (True, False, None):
            yield f"higher_is_better must be True, False or None, not {self.higher_is_better!r}"
        yield from _wrong_tasks(self.tasks)
        if inspect.isclass(self.implementation):
            missing = [name for name in self.METHODS if not callable(getattr(self.implementation, name, None))]
            if missing:
                yield f"the class has no method {' and no method '.join(missing)}: write count(batch) and score(sums)"
            yield from _wrong_arguments(self.implementation, ("language",), ())
        else:
            yield from _wrong_arguments(self.implementation, self.ARGUMENTS, ("outputs",))


@dataclass(frozen=True)
class RulePlugin:
    """A cleaning rule for single rows.

    Attributes:
        name: Its key in `corpus.rules`, where it is switched on, and in reports.
        implementation: A function of `sources`, `targets` (lists of texts), `threshold`, `source_language` and
            `target_language`, or of some of them, that returns for each row whether it is rejected.
        about: The rows that it rejects, for reports.
        threshold: The threshold if it is switched on with true; None for a rule without one.
    """

    DECORATOR: ClassVar[str] = "rule"
    ARGUMENTS: ClassVar = ("sources", "targets", "threshold", "source_language", "target_language")

    name: str
    implementation: Callable[..., Any]
    about: str
    threshold: float | None

    def problems(self) -> Iterator[str]:
        """Yields what does not fit the contract."""
        if not isinstance(self.about, str) or not self.about.strip():
            yield "about must say in words which rows it rejects"
        if self.threshold is not None and (isinstance(self.threshold, bool) or not self.threshold > 0):
            yield f"threshold must be a number above 0, or None, not {self.threshold!r}"
        needed = () if self.threshold is None else ("threshold",)
        yield from _wrong_arguments(self.implementation, self.ARGUMENTS, needed)
        if not {"sources", "targets"} & set(_parameters(self.implementation)):
            yield "the function must take sources or targets"


@dataclass(frozen=True)
class ArchitecturePlugin:
    """A model of Seqline's own layers in another arrangement.

    Attributes:
        name: Its name as `training.architecture`.
        implementation: A function of `fields`, the fields of `TransformerConfig` by name as preset and options set
            them, that returns those to change.
        family: transformer (encoder and decoder) or gpt (decoder only; the source is a prompt).
    """

    DECORATOR: ClassVar[str] = "architecture"

    name: str
    implementation: Callable[..., Any]
    family: str

    def problems(self) -> Iterator[str]:
        """Yields what does not fit the contract."""
        if self.family not in FAMILIES:
            yield f"family must be {' or '.join(FAMILIES)}, not {self.family!r}"
        yield from _wrong_arguments(self.implementation, ("fields",), ("fields",))


@dataclass(frozen=True)
class NotifierPlugin:
    """Who else is notified of the outcome of a run.

    Attributes:
        name: Its key in `notification.notifiers`.
        implementation: A function of `summary` (`seqline.artifacts.run_summary.Summary`), `page` (the run's address in
            a console; empty for none) and `options` (its value in `notification.notifiers`), or of some of them. An
            exception is a note in the summary, and does not fail the run.
    """

    DECORATOR: ClassVar[str] = "notifier"

    name: str
    implementation: Callable[..., Any]

    def problems(self) -> Iterator[str]:
        """Yields what does not fit the contract."""
        yield from _wrong_arguments(self.implementation, ("summary", "page", "options"), ("summary",))


@dataclass(frozen=True)
class TargetPlugin:
    """Another system that runs compiled pipelines.

    Attributes:
        name: Its name as a target, and its key in `targets` of seqline.yaml.
        implementation: A class with the methods of `seqline.targets.target.Target`, constructed with `configuration`.
        settings: The pydantic model of its value in `targets`.
    """

    DECORATOR: ClassVar[str] = "target"
    METHODS: ClassVar = ("compile", "check", "parameters", "run", "runs", "describe", "watch", "cancel", "logs")

    name: str
    implementation: Callable[..., Any]
    settings: Any

    def problems(self) -> Iterator[str]:
        """Yields what does not fit the contract."""
        if not inspect.isclass(self.implementation):
            yield "it is no class"
            return
        missing = [name for name in self.METHODS if not callable(getattr(self.implementation, name, None))]
        if missing:
            yield f"the class does not have {', '.join(missing)}; see seqline.targets.target.Target"
        if not hasattr(self.settings, "model_validate"):
            yield f"settings must be a pydantic model, not {self.settings!r}"
        yield from _wrong_arguments(self.implementation, ("configuration",), ("configuration",))


def metric(
    name: str, *, higher_is_better: bool | None, label: str = "", tasks: Sequence[str] = TASKS
) -> Callable[[Decorated], Decorated]:
    """Declares a metric; see `MetricPlugin`.

    Args:
        name: Its name, also of the entry point in the group `seqline.metrics`.
        higher_is_better: Its direction; None where neither is better.
        label: Its name in reports; the name by default.
        tasks: The tasks it can be measured for; all by default.
    """
    return _marked(lambda found: MetricPlugin(name, found, higher_is_better, label or name, tuple(tasks)))


def rule(name: str, *, about: str, threshold: float | None = None) -> Callable[[Decorated], Decorated]:
    """Declares a cleaning rule; see `RulePlugin`.

    Args:
        name: Its name, also of the entry point in the group `seqline.rules`.
        about: The rows that it rejects, such as "a larger share of capital letters than this".
        threshold: Its usual threshold; None for a rule without one.
    """
    return _marked(lambda found: RulePlugin(name, found, about, threshold))


def architecture(name: str, *, family: str) -> Callable[[Decorated], Decorated]:
    """Declares an architecture; see `ArchitecturePlugin`.

    Args:
        name: Its name, also of the entry point in the group `seqline.architectures`.
        family: transformer or gpt.
    """
    return _marked(lambda found: ArchitecturePlugin(name, found, family))


def notifier(name: str) -> Callable[[Decorated], Decorated]:
    """Declares a notifier; see `NotifierPlugin`.

    Args:
        name: Its name, also of the entry point in the group `seqline.notifiers`.
    """
    return _marked(lambda found: NotifierPlugin(name, found))


def target(name: str, *, settings: Any) -> Callable[[Decorated], Decorated]:
    """Declares a target; see `TargetPlugin`.

    Args:
        name: Its name, also of the entry point in the group `seqline.targets`.
        settings: The pydantic model of its settings in seqline.yaml.
    """
    return _marked(lambda found: TargetPlugin(name, found, settings))


def accepted(function: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """Those of the arguments that a function takes.

    Args:
        function: A plugin's implementation.
        arguments: All that its contract offers, by name.
    """
    return {name: arguments[name] for name in _parameters(function) if name in arguments}


def _marked(declare: Callable[[Any], Plugin]) -> Callable[[Decorated], Decorated]:
    def mark(found: Decorated) -> Decorated:
        setattr(found, MARK, declare(found))
        return found

    return mark


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function).parameters)


def _wrong_arguments(function: Callable[..., Any], offered: Sequence[str], needed: Sequence[str]) -> Iterator[str]:
    """Yields parameters that the caller does not set, and those that are missing."""
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    found = _parameters(function)
    for name, one in found.items():
        if one.kind in optional or (name not in offered and one.default is not inspect.Parameter.empty):
            continue
        if name not in offered:
            yield f"its parameter {name} is unknown: it can take {', '.join(offered)}"
        elif one.kind is inspect.Parameter.POSITIONAL_ONLY:
            yield f"its parameter {name} must not be positional-only: arguments are passed by name"
    for name in needed:
        if name not in found:
            yield f"it has no parameter {name}: it can take {', '.join(offered)}"


def _wrong_tasks(tasks: Sequence[str]) -> Iterator[str]:
    wrong = [task for task in tasks if task not in TASKS]
    if wrong or not tasks:
        yield f"tasks must be some of {', '.join(TASKS)}, not {', '.join(map(repr, wrong)) or 'none'}"
