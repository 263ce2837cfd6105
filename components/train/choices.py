"""What training has chosen for options that are auto, with reasons, and the choices that only the task decides."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from seqline.artifacts.checkpoint import Checkpoint
from seqline.components.train import formulas
from seqline.components.train.options import USUAL, Options
from seqline.components.train.warm_start import copying_of
from seqline.schema.auto import AUTO


@dataclass(frozen=True)
class Choice:
    """The value of an option, which training has chosen.

    Attributes:
        value: The value.
        reason: Why; one line.
    """

    value: Any
    reason: str


@dataclass(frozen=True)
class Choices:
    """All that a training has chosen, as its working state and its checkpoint hold it.

    Attributes:
        options: The choices by the option's name.
        passes: Passes over the data of the whole training, on which further choices depend; infinite if none do.
    """

    options: Mapping[str, Choice] = field(default_factory=dict)
    passes: float = math.inf

    def of(self, options: Options) -> "Choices":
        """Returns the choices for options that are open; those that are set need none.

        Args:
            options: Options of training as given.
        """
        names = undecided(options)
        return replace(self, options={name: one for name, one in self.options.items() if name in names})

    def applied(self, options: Options) -> Options:
        """Returns the options with what was chosen.

        Args:
            options: Options of training.
        """
        return options.with_values(**{name: one.value for name, one in self.of(options).options.items()})

    def with_more(self, chosen: Mapping[str, Choice]) -> "Choices":
        """Returns these choices and others.

        Args:
            chosen: The others.
        """
        return replace(self, options={**self.options, **chosen})

    def lines(self) -> Iterator[str]:
        """Yields a line for each choice: name, value and reason."""
        for name, one in self.options.items():
            yield f"{name} {one.value}: {one.reason}"

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Returns value and reason by name, for JSON."""
        return {name: asdict(one) for name, one in self.options.items()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Mapping[str, Any]]) -> "Choices":
        """Reads what `to_dict` returns.

        Args:
            content: Value and reason by name.
        """
        return cls({name: Choice(**one) for name, one in content.items()})


def undecided(options: Options) -> list[str]:
    """Returns the options that training chooses: those that are auto, and a learning rate of 0.

    Args:
        options: Options of training.
    """
    by_task = [name for name in USUAL if getattr(options, name) == AUTO]
    return [*options.undecided, *by_task, *(["learning_rate"] if not options.learning_rate else [])]


def choose_by_task(options: Options, task: str, start: Path | None = None) -> dict[str, Choice]:
    """Chooses what the task decides.

    Args:
        options: Options of training.
        task: What the model is for.
        start: The checkpoint folder that training starts from, whose shape the model gets; None for random weights.

    Returns:
        The choices for pointer, positions and bucket_by, as far as they are auto and not `USUAL`.
    """
    if options.pretrained or options.architecture != "transformer":
        return {}  # the checkpoint or the architecture decides
    chosen = {name: Choice(value, f"{task} copies from the source") for name, value in formulas.by_task(task).items()}
    if start is not None:
        reason = "as the model of warm_start"
        chosen |= {name: Choice(value, reason) for name, value in copying_of(Checkpoint(start)).items()}
    return {name: one for name, one in chosen.items() if getattr(options, name) == AUTO and one.value != USUAL[name]}
