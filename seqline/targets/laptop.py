"""The laptop: a compiled pipeline run by `kfp.local`, without Docker, cluster or cloud."""

import contextlib
import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqline.compiling.kfp_import import import_kfp
from seqline.configuration.parameters import Parameters, read_parameters
from seqline.endpoints.local_endpoint import can_listen
from seqline.endpoints.names import KSERVE
from seqline.endpoints.ports import in_use
from seqline.endpoints.process import interrupt, start_of
from seqline.errors import LOGGED, UserError
from seqline.names import nearest
from seqline.paths import absolute_address, expanded
from seqline.problems import Problem
from seqline.schema.spec_files import read_documents
from seqline.targets.code_key import code_key
from seqline.targets.compiled import compiled_once
from seqline.targets.graph import read_graph
from seqline.targets.imports_ahead import imports_ahead
from seqline.targets.kfp_local import LocalTask, load_pipeline, observed
from seqline.targets.local_progress import update
from seqline.targets.run_record import read_run, write_run
from seqline.targets.run_report import copy_reports, write_report
from seqline.targets.stage_processes import StageProcesses
from seqline.targets.target import OnChange, Run, Schedule, Template, UnsupportedError

if TYPE_CHECKING:
    from seqline.configuration import Configuration

# Parameters with input files and folders, several with commas.
DATA = ("data", "valid_data", "test_data", "feedback", "tokenizer", "previous_corpus", "human_evaluation")
# Parameters with one folder.
FOLDERS = ("warm_start", "checkpoints", "endpoint", "model")


@dataclass(frozen=True)
class Home:
    """The folder of a laptop's runs, caches and endpoints.

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
    def code(self) -> str:
        """The hash of the code and of the libraries' versions.

        In the cloud, changed code means another image and so another cache key. Here the image is only a name.
        """
        return code_key(self.path / "cache" / "libraries.json")

    @property
    def cache(self) -> Path:
        """Cached outputs of stages, by the hash of the code."""
        return self.path / "cache" / self.code

    @property
    def checkpoints(self) -> Path:
        """The trainer's working state, from which a killed training run continues."""
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
        self.home = Home(expanded(self.settings.home).resolve())

    def compile(self, pipeline: str, output: Path, defaults: Mapping[str, Any] | None = None) -> Path:
        """Writes the portable spec; among those of runs, only if it changed."""

        def compile_() -> Path:
            from seqline.compiling.compiler import compile_pipeline

            return compile_pipeline(pipeline, output, self.configuration, defaults=defaults)

        if output.parent.resolve() != self.home.specs:
            return compile_()
        identity = [self.home.code, self.configuration.model_dump(mode="json"), dict(defaults or {})]
        return compiled_once(pipeline, output, json.dumps(identity, sort_keys=True, default=str), compile_)

    def check(self) -> list[Problem]:
        """Checks the endpoint's port and the home folder."""
        field = "targets.laptop"
        problems = []
        if not can_listen(self.home.endpoint(self.settings.endpoint), self.settings.port):
            problems.append(Problem(in_use(self.settings.port), field=f"{field}.port"))
        parent = next(folder for folder in (self.home.path, *self.home.path.parents) if folder.exists())
        if not (parent.is_dir() and os.access(parent, os.W_OK)):
            problems.append(Problem(f"{parent} cannot be written to; choose another folder", field=f"{field}.home"))
        return problems

    def parameters(self, spec: str) -> Parameters:
        """Reads the parameters of a compiled file."""
        return read_parameters(Path(spec))

    def upload(self, spec: Path, tags: Sequence[str] = ()) -> Template:
        """Not supported: there is no registry on a laptop."""
        raise UnsupportedError(
            "a laptop has no templates; `seqline run --from-template FILE` runs a compiled file as it is"
        )

    def run(
        self, spec: str, arguments: Mapping[str, Any], cache: bool | None = None, on_change: OnChange | None = None
    ) -> Run:
        """Runs a compiled pipeline to its end; the endpoint and the working state are in the home folder by default.

        Relative paths are those of the current folder, also where they are the file's own defaults.

        Raises:
            UserError: If the spec cannot be read, or the endpoint's port is in use.
        """
        known = read_parameters(Path(spec))
        values = {**self._defaults(known), **arguments}
        if "serving" in known.sections:
            given = values.get("serving", known.defaults.get("serving") or {})
            values["serving"] = {"port": self.settings.port, **given}
        by_default = known.defaults.get("training") or {}
        if "training" in known.sections and by_default.get("pretrained"):
            values.setdefault("training", by_default)
        values = with_absolute_paths(values)
        if "retraining" in known.sections:
            values |= monitoring_here(values, known.defaults, self.home)
        endpoint = values.get("endpoint", "")
        if endpoint.startswith(KSERVE):
            raise UserError(
                f"{endpoint}: a run on a laptop writes its model to a folder here, which KServe cannot read; "
                "run it on Kubeflow or Vertex, or deploy to a local endpoint"
            )
        port = values["serving"]["port"] if endpoint and "serving" in known.sections else 0
        if port and not can_listen(Path(values["endpoint"]), port):
            raise UserError(in_use(port))
        caching = self.settings.cache if cache is None else cache
        return run(Path(spec), values, self.home, caching, on_change or (lambda run: None))

    def _defaults(self, known: Parameters) -> dict[str, Any]:
        """Values that a run has without arguments: the file's own paths, or else folders in the home folder."""
        own = {name: value for name, value in known.defaults.items() if name in {*DATA, *FOLDERS} and value}
        folders = {
            "endpoint": str(self.home.endpoint(self.settings.endpoint)),
            "checkpoints": str(self.home.checkpoints),
        }
        # An endpoint that the configuration or a flag names is chosen, as an argument is.
        chosen = {"endpoint"} & self.settings.model_fields_set
        used = {
            name: one for name, one in folders.items() if name in known.types and (name in chosen or name not in own)
        }
        # Another pipeline's parameters of these names may not be paths.
        return {**(own if known.sections else {}), **used}

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
            hint = nearest(run, names) if names else "`seqline run --data FILE` starts one"
            raise UserError(f"there is no run {run!r} in {self.home.runs}; {hint}")
        found = read_run(self.home.runs / run)
        update(found)
        return found

    def watch(self, run: str, on_change: OnChange) -> Run:
        """Watches a run of another process to its end."""
        found = self.describe(run)
        on_change(found)
        while not found.ended:
            time.sleep(0.5)
            found = self.describe(found.id)
            on_change(found)
        return found

    def cancel(self, run: str) -> Run:
        """Interrupts a run's process as Ctrl-C does, and waits until it has stopped."""
        found = self.describe(run)
        if not found.ended and found.process:
            interrupt(found.process, found.process_started or start_of(found.process))
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
        """Always empty."""
        return {}

    def schedules(self) -> list[Schedule]:
        """Always empty."""
        return []

    def save_schedule(self, wanted: Schedule, existing: Schedule | None = None) -> Schedule:
        """Not supported: a laptop has no schedules."""
        raise UnsupportedError(
            "a laptop has no schedules; cron can start `seqline run`, and kubeflow and vertex have schedules"
        )

    def delete_schedule(self, schedule: Schedule) -> None:
        """Not supported: a laptop has no schedules."""
        self.save_schedule(schedule)

    def pause_schedule(self, schedule: Schedule) -> Schedule:
        """Not supported: a laptop has no schedules."""
        return self.save_schedule(schedule)

    def resume_schedule(self, schedule: Schedule) -> Schedule:
        """Not supported: a laptop has no schedules."""
        return self.save_schedule(schedule)


def monitoring_here(values: Mapping[str, Any], defaults: Mapping[str, Any], home: Home) -> dict[str, Any]:
    """The sections of monitoring with absolute paths: its stages, and the run that it starts, are in other folders.

    Args:
        values: Values of the pipeline's parameters.
        defaults: Their defaults.
        home: The home folder, in which a retraining runs.
    """
    monitoring = {**(values.get("monitoring", defaults.get("monitoring")) or {})}
    retraining = {"home": str(home.path), **(values.get("retraining", defaults.get("retraining")) or {})}
    of_run = with_absolute_paths(retraining.get("parameters") or {})
    paths = [name for name in ("requests", "state", "metrics_file") if monitoring.get(name)]
    monitoring |= {name: absolute_folder(monitoring[name]) for name in paths}
    if retraining.get("template"):
        retraining["template"] = absolute_folder(retraining["template"])
    return {"monitoring": monitoring, "retraining": {**retraining, "parameters": of_run} if of_run else retraining}


def with_absolute_paths(values: Mapping[str, Any]) -> dict[str, Any]:
    """Makes the local paths of parameters absolute: stages run in another folder.

    The cache identifies the data by its fingerprint, not by its path.

    Args:
        values: The parameters.
    """
    found = dict(values)
    found |= {name: absolute(found[name]) for name in DATA if found.get(name)}
    found |= {name: absolute_folder(found[name]) for name in FOLDERS if found.get(name)}
    training = found.get("training") or {}
    if training.get("pretrained"):
        found["training"] = {**training, "pretrained": absolute_folder(training["pretrained"])}
    return found


def absolute(paths: str) -> str:
    """Makes local paths absolute.

    Args:
        paths: Paths, patterns and addresses such as gs://bucket/file, with commas; or a query, which is unchanged.
    """
    from seqline.inputs.bigquery import is_query

    if is_query(paths):
        return paths
    parts = [part.strip() for part in paths.split(",") if part.strip()]
    return ",".join(map(absolute_address, parts))


def absolute_folder(folder: str) -> str:
    """Makes a local folder's path absolute.

    Args:
        folder: A path; an address such as gs://bucket/folder and an endpoint on Vertex are unchanged.
    """
    return folder if folder.startswith("projects/") else absolute_address(folder)


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
        home: The folder of artifacts, caches and endpoints.
        caching: Whether unchanged stages are cached.
        on_change: Called when a task starts and when it ends.

    Returns:
        The run, failed or not.

    Raises:
        UserError: If the spec cannot be read or has no parameter of a given name.
    """
    known = read_parameters(spec)
    for name in arguments:
        known.require(name)
    with StageProcesses(imports_ahead(next(read_documents(spec.read_text(encoding="utf-8"))))) as processes:
        home.runs.mkdir(parents=True, exist_ok=True)
        # The stages' modules are imported while this process imports kfp.
        processes.begin(home.runs.resolve())
        return _run(spec, known.pipeline, arguments, home, caching, on_change, processes)


def _run(
    spec: Path,
    name: str,
    arguments: Mapping[str, Any],
    home: Home,
    caching: bool,
    on_change: OnChange,
    processes: StageProcesses,
) -> Run:
    import_kfp()
    from kfp import local

    local.init(
        runner=local.SubprocessRunner(use_venv=False),
        pipeline_root=str(home.runs.resolve()),
        enable_caching=caching,
        cache_root=str(home.cache),
    )
    result = Run("", name, "laptop", "running", time.time(), parameters=dict(arguments))
    result.process, result.process_started = os.getpid(), start_of(os.getpid())

    def record(task: LocalTask) -> None:
        if task.state == "running":
            result.tasks.append(task)
            result.id, result.root = task.run.name, str(task.run)
        elif task.state == "failed":
            task.error = _reason(task)
        copy_reports(task)
        save()

    def save() -> None:
        if result.root:
            write_run(result)
        on_change(result)

    pipeline = load_pipeline(spec)
    try:
        with interruptible(), observed(record, processes):
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
        if result.root:
            write_report(result, read_graph(spec))
    return result


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Within the block, SIGTERM and a closed terminal end the run as Ctrl-C does, with its state recorded."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    # Only the main thread sets handlers; signals that are ignored, as by nohup, stay ignored.
    changed = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) == signal.SIG_DFL]
    changed = changed if threading.current_thread() is threading.main_thread() else []
    for number in changed:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


def _reason(task: LocalTask) -> str:
    """Why a stage failed: its message for the user, or else the end of its log."""
    log = task.log.read_text(encoding="utf-8", errors="replace") if task.log.exists() else ""
    messages = LOGGED.findall(log)
    if messages:
        return str(messages[-1]).strip()
    end = "\n".join(f"  {line}" for line in log.strip().splitlines()[-5:])
    return f"stage {task.name} failed; its log {task.log} ends with:\n{end}"
