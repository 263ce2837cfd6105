"""The contract that every target keeps: the laptop, Kubeflow and Vertex.

A target is opened from the configuration, `open_target("vertex", configuration)`, without a connection: that is made
by the first method that needs one. `seqline` does everything through these methods and knows no target's own types:

| command                                        | methods                                                    |
|------------------------------------------------|------------------------------------------------------------|
| `compile`                                      | `compile`                                                  |
| `check`, `doctor`                              | `check`                                                    |
| `upload`                                       | `compile`, `upload`                                        |
| `run`                                          | `compile`, `parameters`, `run`                             |
| `runs list`, `describe`, `cancel`, `logs`      | `runs`, `describe`, `cancel`, `logs`                       |
| `schedule list`, `plan`, `apply` and the rest  | `schedules`, `save_schedule`, `delete_schedule`, and so on |

Rules for a target:

- Every verb is idempotent. It looks before it writes, and looks again before it writes a second time when an answer was
  lost: the same call twice leaves one run, one version, one schedule.
- An id that a method returns is one that every other method takes, on another machine too.
- What goes wrong is a `UserError` that says what, where and what to do; `UnreachableError` where the service does not
  answer or refuses the caller. `check` raises nothing and returns all problems that it finds.
- A target that cannot do something raises `UnsupportedError` with the way that there is instead.
"""

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from seqline.configuration.parameters import Parameters
from seqline.errors import UserError
from seqline.problems import Problem

State = Literal["pending", "running", "succeeded", "cached", "skipped", "failed", "cancelled"]
ENDED = frozenset({"succeeded", "cached", "skipped", "failed", "cancelled"})


class UnreachableError(UserError):
    """The service does not answer, or does not let this caller in. The command ends with exit code 4."""


class RunFailedError(UserError):
    """A run was started, and did not end well. The command ends with exit code 3."""


class UnsupportedError(UserError):
    """This target has no such thing; the message says what to do instead."""


@dataclass
class Task:
    """One task of a run, as far as it has come.

    Attributes:
        name: Its name, as the console shows it.
        state: How far it is.
        started: Start, seconds since the epoch; 0 while it is pending.
        seconds: Wall time; 0 until it ended.
        figure: What its artifacts' metadata say in a few words, such as "BLEU 31.2"; empty where they say nothing.
        error: Why it failed, for a person to read; empty otherwise.
        id: What `logs` takes.
    """

    name: str
    state: State = "pending"
    started: float = 0.0
    seconds: float = 0.0
    figure: str = ""
    error: str = ""
    id: str = ""


@dataclass
class Run:
    """One run of a pipeline, as far as it has come.

    Attributes:
        id: What `describe`, `cancel` and `logs` take.
        pipeline: The pipeline's name.
        target: Where it runs: laptop, kubeflow or vertex.
        state: How far it is; never `cached` or `skipped`.
        created: Seconds since the epoch.
        seconds: Wall time; 0 until it ended.
        tasks: Its tasks in the order they started.
        parameters: The values it was given.
        error: Why it failed, for a person to read; empty otherwise.
        console: Address of its page in the target's console; empty on a laptop.
        place: Folder or address under which its artifacts are.
        process: The process that runs it on a laptop; 0 elsewhere.
    """

    id: str
    pipeline: str
    target: str
    state: State = "pending"
    created: float = 0.0
    seconds: float = 0.0
    tasks: list[Task] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    console: str = ""
    place: str = ""
    process: int = 0

    @property
    def folder(self) -> Path:
        """The folder of its artifacts and its `logs/`, on a laptop."""
        return Path(self.place)

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ENDED


@dataclass(frozen=True)
class Template:
    """A compiled pipeline that was uploaded.

    Attributes:
        reference: What `run --from-template` and a schedule's `template` take; names one version for ever.
        pipeline: The pipeline's name.
        version: The version's own name: `sha256:...` on Vertex, the version's id on Kubeflow.
        tags: Names that point at this version now.
        console: Address of its page in the target's console.
    """

    reference: str
    pipeline: str
    version: str
    tags: tuple[str, ...] = ()
    console: str = ""


@dataclass(frozen=True)
class Schedule:
    """A schedule: as the configuration wants it, or as it exists.

    Attributes:
        name: Its name, unique among the target's schedules.
        cron: Five fields.
        timezone: In which the fields are read, such as Europe/Paris.
        template: `Template.reference` of what it runs.
        spec: What the content of that is known by, `Target.digest`.
        settings: How the configuration has its runs started, `Target.run_settings`.
        parameters: The values that every run is given.
        state: `paused` starts nothing; `completed` has had its end or its last run.
        start: The first moment at which it may start a run; None for at once.
        end: The last one; None for never.
        max_runs: How many runs it starts in all; 0 for no limit.
        max_active_runs: How many of its runs may be active at a time.
        cache: Whether tasks are taken from the cache; None for as the pipeline says.
        id: The service's own name of it; empty for one that only the configuration has.
        next_run: When it starts the next run, if that is known.
        last_run: Id of the run that it started last, if it did.
        console: Address of its page in the target's console.
        superseded: Ids of older ones of that name, which a replacement has left to be deleted.
    """

    name: str
    cron: str
    timezone: str = "UTC"
    template: str = ""
    spec: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    state: Literal["active", "paused", "completed"] = "active"
    start: datetime.datetime | None = None
    end: datetime.datetime | None = None
    max_runs: int = 0
    max_active_runs: int = 1
    cache: bool | None = None
    id: str = ""
    next_run: datetime.datetime | None = None
    last_run: str = ""
    console: str = ""
    superseded: tuple[str, ...] = ()


OnChange = Callable[[Run], None]


class Target(Protocol):
    """A place where pipelines run.

    Attributes:
        name: Its name in the configuration.
        updatable: The fields of a schedule that are changed in place; a change of another is a replacement.
    """

    name: str
    updatable: frozenset[str]

    def compile(self, pipeline: str, output: Path, defaults: Mapping[str, Any] | None = None) -> Path:
        """Writes the spec that runs here; the same configuration gives the same bytes on every machine.

        Args:
            pipeline: A key of `seqline.compiling.compiler.PIPELINES`.
            output: The YAML file.
            defaults: Values of parameters that the spec is to have as its defaults.
        """
        ...

    def check(self) -> list[Problem]:
        """Looks whether this target can be used as it is configured; asks the service if there is one to ask."""
        ...

    def parameters(self, spec: str) -> Parameters:
        """Reads the parameters that a compiled pipeline takes.

        Args:
            spec: As in `run`.
        """
        ...

    def upload(self, spec: Path, tags: Sequence[str] = ()) -> Template:
        """Makes a compiled pipeline available to the console and to schedules.

        Args:
            spec: The compiled YAML.
            tags: Names that are to point at it; those that exist are moved.
        """
        ...

    def run(
        self,
        spec: str,
        arguments: Mapping[str, Any],
        cache: bool | None = None,
        on_change: OnChange | None = None,
    ) -> Run:
        """Starts a run.

        Args:
            spec: A compiled YAML file, or `Template.reference` of one that was uploaded (a tag is resolved).
            arguments: Values of the pipeline's parameters by name; the rest keep their defaults.
            cache: Whether tasks are taken from the cache; None for as the pipeline says.
            on_change: Called with the run whenever something about it changed. With None the call returns as soon as
                the run was accepted; only the laptop, which has nothing that would go on alone, runs it to its end.

        Returns:
            The run: at its end if it was watched, a failed one too.
        """
        ...

    def runs(self, pipeline: str = "", limit: int = 20) -> list[Run]:
        """Lists runs, the newest first, without their tasks.

        Args:
            pipeline: Only those of this pipeline; empty for all.
            limit: How many at most.
        """
        ...

    def describe(self, run: str) -> Run:
        """Looks a run up, with its tasks."""
        ...

    def watch(self, run: str, on_change: OnChange) -> Run:
        """Follows a run to its end, as `run` does with `on_change`."""
        ...

    def cancel(self, run: str) -> Run:
        """Asks a run to stop; one that has ended stays as it is."""
        ...

    def logs(self, run: str, task: str = "") -> Iterator[str]:
        """Lines that a run's tasks printed, oldest first.

        Args:
            run: The run's id.
            task: Only this task's, by name or id; with several tasks each line begins with its task.
        """
        ...

    def digest(self, spec: str) -> str:
        """What the content of a pipeline is known by, wherever it is.

        Args:
            spec: As in `run`.
        """
        ...

    def run_settings(self) -> dict[str, str]:
        """What the configuration says about how this target starts runs, such as their service account."""
        ...

    def schedules(self) -> list[Schedule]:
        """The schedules that exist here and were made by Seqline, by name."""
        ...

    def save_schedule(self, wanted: Schedule, existing: Schedule | None = None) -> Schedule:
        """Makes a schedule, or changes one into what is wanted, by update or by replacement as the service needs.

        Args:
            wanted: What is to be there.
            existing: What is there now; None for nothing.
        """
        ...

    def delete_schedule(self, schedule: Schedule) -> None:
        """Deletes a schedule; one that is gone already is no error."""
        ...

    def pause_schedule(self, schedule: Schedule) -> Schedule:
        """Lets a schedule start nothing until it is resumed."""
        ...

    def resume_schedule(self, schedule: Schedule) -> Schedule:
        """Lets a paused schedule start runs again."""
        ...
