"""The interface of all targets: the laptop, Kubeflow and Vertex.

A target is opened from the configuration, `open_target("vertex", configuration)`, and connects when a method first
needs to. `seqline` uses only these methods and no types of a single target:

| command                                        | methods                                                    |
|------------------------------------------------|------------------------------------------------------------|
| `compile`                                      | `compile`                                                  |
| `check`, `doctor`                              | `check`                                                    |
| `upload`                                       | `compile`, `upload`                                        |
| `run`                                          | `compile`, `parameters`, `run`                             |
| `runs list`, `describe`, `cancel`, `logs`      | `runs`, `describe`, `cancel`, `logs`                       |
| `schedule list`, `plan`, `apply` and the rest  | `schedules`, `save_schedule`, `delete_schedule`, and so on |

Rules for a target:

- Every method is idempotent. It reads the state before every write, also before a retry after a lost response: the same
  call twice leaves one run, one version, one schedule.
- An id that a method returns is accepted by every other method, on another machine too.
- Errors are `UserError`s with the problem, its location and the remedy; `UnreachableError` if the service does not
  respond or rejects the caller. `check` raises nothing and returns all problems.
- A target without a feature raises `UnsupportedError` with the alternative.
"""

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from seqline.configuration.parameters import Parameters
from seqline.errors import UserError
from seqline.problems import Problem
from seqline.progress import Progress

State = Literal["pending", "running", "succeeded", "cached", "skipped", "failed", "cancelled"]
ENDED = frozenset({"succeeded", "cached", "skipped", "failed", "cancelled"})


class RunFailedError(UserError):
    """A run failed or was cancelled. The command ends with exit code 3."""


class UnsupportedError(UserError):
    """This target does not have the feature; the message names the alternative."""


@dataclass
class Task:
    """One task of a run.

    Attributes:
        name: Its name, as the console shows it.
        state: Its state.
        started: Start, seconds since the epoch; 0 while it is pending.
        seconds: Wall time; 0 until it ended.
        metric: The key metric in its artifacts' metadata, such as "BLEU 31.2"; empty if there is none.
        error: Why it failed; empty otherwise.
        id: The argument of `logs`.
        progress: How far it is, while it runs and if it says so.
    """

    name: str
    state: State = "pending"
    started: float = 0.0
    seconds: float = 0.0
    metric: str = ""
    error: str = ""
    id: str = ""
    progress: Progress | None = None


@dataclass
class Run:
    """One run of a pipeline.

    Attributes:
        id: The argument of `describe`, `cancel` and `logs`.
        pipeline: The pipeline's name.
        target: laptop, kubeflow or vertex.
        state: Its state; never `cached` or `skipped`.
        created: Seconds since the epoch.
        seconds: Wall time; 0 until it ended.
        tasks: Its tasks in the order they started.
        parameters: Values of its parameters.
        error: Why it failed; empty otherwise.
        console: Address of its page in the target's console; empty on a laptop.
        root: Folder or address of its artifacts.
        process: The process that runs it on a laptop; 0 elsewhere.
        process_started: Its start, because numbers of processes are recycled; empty in records of earlier versions.
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
    root: str = ""
    process: int = 0
    process_started: str = ""

    @property
    def folder(self) -> Path:
        """The folder of its artifacts and its `logs/`, on a laptop."""
        return Path(self.root)

    @property
    def ended(self) -> bool:
        """Whether its state is final."""
        return self.state in ENDED


@dataclass(frozen=True)
class Template:
    """An uploaded pipeline.

    Attributes:
        reference: The value of `run --from-template` and a schedule's `template`; it names one version permanently.
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
        template: `Template.reference` of its pipeline.
        spec: `Target.digest` of its pipeline.
        settings: `Target.run_settings` of its runs.
        parameters: Parameter values of every run.
        state: `paused` starts no runs; `completed` has reached its end or its last run.
        start: The earliest start of a run; None for now.
        end: The latest start of a run; None for no limit.
        max_runs: Total number of runs; 0 for no limit.
        max_active_runs: Number of its runs that may be active at a time.
        cache: Whether tasks are cached; None for the pipeline's own setting.
        id: The service's name of it; empty for one that exists in the configuration only.
        next_run: Start of the next run, if known.
        last_run: Id of the last run, if there is one.
        console: Address of its page in the target's console.
        superseded: Ids of older schedules of that name, which a replacement has left to be deleted.
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
    """A system that runs pipelines.

    Attributes:
        name: Its name in the configuration.
        updatable: The fields of a schedule that are changed in place; a change of another is a replacement.
    """

    name: str
    updatable: frozenset[str]

    def compile(self, pipeline: str, output: Path, defaults: Mapping[str, Any] | None = None) -> Path:
        """Writes the spec for this target; the same configuration gives the same bytes on every machine.

        Args:
            pipeline: A key of `seqline.pipelines.PIPELINES`.
            output: The YAML file.
            defaults: Default values of the spec's parameters.
        """
        ...

    def check(self) -> list[Problem]:
        """Checks whether this target can be used as configured, with a request to the service if it has one."""
        ...

    def parameters(self, spec: str) -> Parameters:
        """Reads the parameters of a compiled pipeline.

        Args:
            spec: As in `run`.
        """
        ...

    def upload(self, spec: Path, tags: Sequence[str] = ()) -> Template:
        """Uploads a compiled pipeline for the console and for schedules.

        Args:
            spec: The compiled YAML.
            tags: Names that will point at it; existing ones are moved.
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
            spec: A compiled YAML file, or `Template.reference` of an uploaded one (a tag is resolved).
            arguments: Values of the pipeline's parameters by name; the rest keep their defaults.
            cache: Whether tasks are cached; None for the pipeline's own setting.
            on_change: Called with the run at every change. With None the call returns once the run is accepted, except
                on the laptop, which runs it in this process.

        Returns:
            The run, failed or not: at its end if it was watched.
        """
        ...

    def runs(self, pipeline: str = "", limit: int = 20) -> list[Run]:
        """Lists runs, the newest first, without their tasks.

        Args:
            pipeline: Only those of this pipeline; empty for all.
            limit: Maximum number.
        """
        ...

    def describe(self, run: str) -> Run:
        """Looks a run up, with its tasks."""
        ...

    def watch(self, run: str, on_change: OnChange) -> Run:
        """Watches a run to its end, as `run` does with `on_change`."""
        ...

    def cancel(self, run: str) -> Run:
        """Requests that a run stops; a run that has ended is unchanged."""
        ...

    def logs(self, run: str, task: str = "") -> Iterator[str]:
        """Lines of output of a run's tasks, oldest first.

        Args:
            run: The run's id.
            task: Only this task's, by name or id; with several tasks each line begins with its task.
        """
        ...

    def digest(self, spec: str) -> str:
        """The digest of a pipeline's content, independent of its address.

        Args:
            spec: As in `run`.
        """
        ...

    def run_settings(self) -> dict[str, str]:
        """The configuration's settings of runs on this target, such as their service account."""
        ...

    def schedules(self) -> list[Schedule]:
        """The existing schedules that Seqline created, by name."""
        ...

    def save_schedule(self, wanted: Schedule, existing: Schedule | None = None) -> Schedule:
        """Creates a schedule, or updates or replaces an existing one, depending on the service.

        Args:
            wanted: The schedule from the configuration.
            existing: The existing schedule, or None.
        """
        ...

    def delete_schedule(self, schedule: Schedule) -> None:
        """Deletes a schedule; a missing one is not an error."""
        ...

    def pause_schedule(self, schedule: Schedule) -> Schedule:
        """Pauses a schedule: it starts no runs until it is resumed."""
        ...

    def resume_schedule(self, schedule: Schedule) -> Schedule:
        """Resumes a paused schedule."""
        ...
