"""The laptop: a compiled pipeline run by `kfp.local`, without Docker, cluster or cloud."""

import contextlib
import hashlib
import os
import re
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import seqline
from seqline.compiling.kfp_import import import_kfp
from seqline.configuration.parameters import Parameters, read_parameters
from seqline.errors import UserError
from seqline.names import nearest
from seqline.problems import Problem
from seqline.targets.graph import read_graph
from seqline.targets.kfp_local import LocalTask, observed
from seqline.targets.run_record import read_run, write_run
from seqline.targets.run_report import keep_reports, write_report
from seqline.targets.target import OnChange, Run, Schedule, Template, UnsupportedError

if TYPE_CHECKING:
    from seqline.configuration import Configuration

USER_ERROR = re.compile(r"^seqline\.errors\.UserError: (.*)", re.MULTILINE | re.DOTALL)

# The parameters that name input files and folders.
DATA = ("data", "valid_data", "test_data", "tokenizer", "previous_corpus", "human_evaluation")


@dataclass(frozen=True)
class Home:
    """Where a laptop keeps its runs, caches and endpoints.

    Attributes:
        path: The folder, `.seqline` in the current folder by default.
    """

    path: Path

    @property
    def runs(self) -> Path:
        """The pipeline root: one folder a run."""
        return self.path / "runs"

    @property
    def specs(self) -> Path:
        """Compiled pipelines."""
        return self.path / "specs"

    @property
    def cache(self) -> Path:
        """Cached outputs of stages, by the code that made them.

        In the cloud a change of code is a change of image, and so of cache key. Here the image is only a
        name, so the code's own hash stands in for it.
        """
        code = hashlib.sha256()
        root = Path(seqline.__file__).parent
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                code.update(path.relative_to(root).as_posix().encode())
                code.update(path.read_bytes())
        return self.path / "cache" / code.hexdigest()[:16]

    @property
    def checkpoints(self) -> Path:
        """The trainer's working state, so that a killed training run continues."""
        return self.path / "checkpoints"

    def endpoint(self, name: str) -> Path:
        """The folder of a local endpoint.

        Args:
            name: The endpoint's name, which is also the model's name in its address.
        """
        return self.path / "endpoints" / name


class Laptop:
    """This machine as a target."""

    name = "laptop"
    updatable: frozenset[str] = frozenset()

    def __init__(self, configuration: "Configuration") -> None:
        self.configuration = configuration
        self.settings = configuration.targets.laptop
        self.home = Home(Path(self.settings.home).expanduser().resolve())

    def compile(self, pipeline: str, output: Path, defaults: Mapping[str, Any] | None = None) -> Path:
        """Writes the portable spec."""
        from seqline.compiling.compiler import compile_pipeline

        return compile_pipeline(pipeline, output, self.configuration, defaults=defaults)

    def check(self) -> list[Problem]:
        """Looks at the endpoint's port and the home folder."""
        field = "targets.laptop"
        problems = []
        if not port_is_ours(self.home.endpoint(self.settings.endpoint), self.settings.port):
            said = f"port {self.settings.port} is in use by another program; choose another, or stop that program"
            problems.append(Problem(said, field=f"{field}.port"))
        place = next(folder for folder in (self.home.path, *self.home.path.parents) if folder.exists())
        if not (place.is_dir() and os.access(place, os.W_OK)):
            problems.append(Problem(f"{place} cannot be written to; choose another folder", field=f"{field}.home"))
        return problems

    def parameters(self, spec: str) -> Parameters:
        """Reads the parameters of a compiled file."""
        return read_parameters(Path(spec))

    def upload(self, spec: Path, tags: Sequence[str] = ()) -> Template:
        """There is no registry on a laptop."""
        raise UnsupportedError(
            "a laptop has no templates; `seqline run --from-template FILE` runs a compiled file as it is"
        )

    def run(
        self, spec: str, arguments: Mapping[str, Any], cache: bool | None = None, on_change: OnChange | None = None
    ) -> Run:
        """Runs a compiled pipeline to its end, with places in the home folder for what the arguments leave open.

        Raises:
            UserError: If the spec cannot be read, or the endpoint's port is taken.
        """
        known = read_parameters(Path(spec))
        places = {
            "endpoint": str(self.home.endpoint(self.settings.endpoint)),
            "checkpoints": str(self.home.checkpoints),
        }
        values = {**{name: value for name, value in places.items() if name in known.types}, **arguments}
        if "serving" in known.types:
            given = values.get("serving", known.defaults.get("serving") or {})
            values["serving"] = {"port": self.settings.port, **given}
        # The cache knows the data by its fingerprint, and the stages run in another folder.
        values |= {name: absolute(values[name]) for name in DATA if values.get(name)}
        port = values["serving"]["port"] if values.get("endpoint") and "serving" in values else 0
        if port and not port_is_ours(Path(values["endpoint"]), port):
            raise UserError(
                f"port {port} is in use by another program; choose another with --port, or stop that program"
            )
        caching = self.settings.cache if cache is None else cache
        return run(Path(spec), values, self.home, caching, on_change or (lambda run: None))

    def runs(self, pipeline: str = "", limit: int = 20) -> list[Run]:
        """Lists the runs in the home folder, the newest first."""
        found = [read_run(folder) for folder in self.home.runs.glob("*") if folder.is_dir()]
        chosen = [run for run in found if not pipeline or run.pipeline == pipeline]
        return sorted(chosen, key=lambda run: -run.created)[:limit]

    def describe(self, run: str) -> Run:
        """Looks a run up; `latest` is the newest."""
        names = [found.id for found in self.runs(limit=10_000)]
        if run == "latest" and names:
            run = names[0]
        if run not in names:
            there = nearest(run, names) if names else "`seqline run --data FILE` makes one"
            raise UserError(f"there is no run {run!r} in {self.home.runs}; {there}")
        return read_run(self.home.runs / run)

    def watch(self, run: str, on_change: OnChange) -> Run:
        """Follows a run of another process to its end."""
        found = self.describe(run)
        on_change(found)
        while not found.ended:
            time.sleep(0.5)
            found = self.describe(found.id)
            on_change(found)
        return found

    def cancel(self, run: str) -> Run:
        """Interrupts a run's process, as Ctrl-C would; waits until it has stopped."""
        found = self.describe(run)
        if not found.ended and found.process:
            os.kill(found.process, signal.SIGINT)
            end = time.monotonic() + 60
            while not found.ended and time.monotonic() < end:
                time.sleep(0.1)
                found = self.describe(found.id)
        return found

    def logs(self, run: str, task: str = "") -> Iterator[str]:
        """Lines of a run's log files."""
        found = self.describe(run)
        chosen = [one for one in found.tasks if task in ("", one.name, one.id)]
        if task and not chosen:
            raise UserError(f"run {found.id} has no task {task!r}; {nearest(task, [one.name for one in found.tasks])}")
        for one in chosen:
            log = found.folder / "logs" / f"{one.id}.log"
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
            yield from lines if task else (f"{one.name}: {line}" for line in lines)

    def digest(self, spec: str) -> str:
        """The SHA-256 of a compiled file."""
        return hashlib.sha256(Path(spec).read_bytes()).hexdigest()

    def run_settings(self) -> dict[str, str]:
        """There are none."""
        return {}

    def schedules(self) -> list[Schedule]:
        """There are none."""
        return []

    def save_schedule(self, wanted: Schedule, existing: Schedule | None = None) -> Schedule:
        """A laptop keeps no schedules."""
        raise UnsupportedError(
            "a laptop keeps no schedules; cron can start `seqline run`, and kubeflow and vertex keep them"
        )

    def delete_schedule(self, schedule: Schedule) -> None:
        """A laptop keeps no schedules."""
        self.save_schedule(schedule)

    def pause_schedule(self, schedule: Schedule) -> Schedule:
        """A laptop keeps no schedules."""
        return self.save_schedule(schedule)

    def resume_schedule(self, schedule: Schedule) -> Schedule:
        """A laptop keeps no schedules."""
        return self.save_schedule(schedule)


def absolute(paths: str) -> str:
    """Makes the local ones of several paths with commas absolute.

    Args:
        paths: Paths, patterns and addresses such as gs://bucket/file; or a query, which stays as it is.
    """
    from seqline.inputs.bigquery import is_query

    if is_query(paths):
        return paths
    parts = [part.strip() for part in paths.split(",") if part.strip()]
    return ",".join(part if "://" in part else str(Path(part).expanduser().absolute()) for part in parts)


def port_is_ours(endpoint: Path, port: int) -> bool:
    """Whether an endpoint's server listens on its port already, or could.

    Args:
        endpoint: The local endpoint's folder.
        port: The port it is to listen on.
    """
    import socket

    from seqline.endpoints.local_endpoint import is_running

    if endpoint.exists() and is_running(endpoint):
        return True
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def run(
    spec: Path,
    arguments: Mapping[str, Any],
    home: Home,
    caching: bool = True,
    on_change: OnChange = lambda run: None,
) -> Run:
    """Runs a compiled pipeline in this process, stage by stage.

    Args:
        spec: The compiled YAML.
        arguments: Values of the pipeline's parameters by name; the rest keep their defaults.
        home: Where artifacts, caches and endpoints are kept.
        caching: Whether unchanged stages are taken from the cache.
        on_change: Called when a task starts and when it ends.

    Returns:
        The run, failed or not.

    Raises:
        UserError: If the spec cannot be read or has no parameter of a given name.
    """
    import_kfp()
    from kfp import components as kfp_components
    from kfp import local

    known = read_parameters(spec)
    for name in arguments:
        known.require(name)
    local.init(
        runner=local.SubprocessRunner(use_venv=False),
        pipeline_root=str(home.runs.resolve()),
        enable_caching=caching,
        cache_root=str(home.cache),
    )
    result = Run("", known.pipeline, "laptop", "running", time.time(), parameters=dict(arguments))
    result.process = os.getpid()

    def record(task: LocalTask) -> None:
        if task.state == "running":
            result.tasks.append(task)
            result.id, result.place = task.run.name, str(task.run)
        elif task.state == "failed":
            task.error = _reason(task)
        keep_reports(task)
        save()

    def save() -> None:
        if result.place:
            write_run(result)
        on_change(result)

    pipeline = kfp_components.load_component_from_file(str(spec))
    try:
        with interruptible(), observed(record):
            pipeline(**arguments)
        result.state = "succeeded"
    except KeyboardInterrupt:
        result.state, result.error = "cancelled", "interrupted"
        raise
    except BaseException as error:
        result.state = "failed"
        failed = [task.error for task in result.tasks if task.state == "failed"]
        result.error = "\n".join(failed) or str(error)
        if not failed or not isinstance(error, RuntimeError):
            raise
    finally:
        result.seconds = time.time() - result.created
        save()
        if result.place:
            write_report(result, read_graph(spec))
    return result


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Within the block, a closed terminal and a polite kill end the run as Ctrl-C does, with its state written down."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    # Handlers are the main thread's; what the user told to be ignored, as nohup does, stays ignored.
    mine = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) == signal.SIG_DFL]
    mine = mine if threading.current_thread() is threading.main_thread() else []
    for number in mine:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)


def _reason(task: LocalTask) -> str:
    """What a failed stage said: its message for the user, or else the end of its log."""
    log = task.log.read_text(encoding="utf-8", errors="replace") if task.log.exists() else ""
    messages = USER_ERROR.findall(log)
    if messages:
        return str(messages[-1]).strip()
    end = "\n".join(f"  {line}" for line in log.strip().splitlines()[-5:])
    return f"stage {task.name} failed; its log {task.log} ends with:\n{end}"
