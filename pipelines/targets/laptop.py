"""The laptop: a compiled pipeline run by `kfp.local`, without Docker, cluster or cloud."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import components
from pipelines.parameters import read_parameters
from pipelines.targets.kfp_local import Task, observed

USER_ERROR = re.compile(r"^components\.errors\.UserError: (.*)", re.MULTILINE | re.DOTALL)


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
    def cache(self) -> Path:
        """Cached outputs of stages, by the code that made them.

        In the cloud a change of code is a change of image, and so of cache key. Here the image is only a
        name, so the code's own hash stands in for it.
        """
        code = hashlib.sha256()
        root = Path(components.__file__).parent
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


@dataclass
class Run:
    """A finished run on the laptop.

    Attributes:
        tasks: Its tasks in the order they started.
        error: Why it failed, for a person to read; empty when it succeeded.
    """

    tasks: list[Task] = field(default_factory=list)
    error: str = ""

    @property
    def folder(self) -> Path:
        """The run's folder: artifacts by task, and `logs/`."""
        return self.tasks[0].run


def run(
    spec: Path,
    arguments: Mapping[str, Any],
    home: Home,
    caching: bool = True,
    on_change: Callable[[Task], None] = lambda task: None,
) -> Run:
    """Runs a compiled pipeline.

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
    result = Run()

    def record(task: Task) -> None:
        if task.state == "running":
            result.tasks.append(task)
        on_change(task)

    pipeline = kfp_components.load_component_from_file(str(spec))
    with observed(record):
        try:
            pipeline(**arguments)
        except RuntimeError as error:
            failed = [task for task in result.tasks if task.state == "failed"]
            if not failed:
                raise
            result.error = "\n".join(_reason(task) for task in failed) or str(error)
    return result


def _reason(task: Task) -> str:
    """What a failed stage said: its message for the user, or else the end of its log."""
    log = task.log.read_text(encoding="utf-8", errors="replace") if task.log.exists() else ""
    messages = USER_ERROR.findall(log)
    if messages:
        return str(messages[-1]).strip()
    end = "\n".join(f"  {line}" for line in log.strip().splitlines()[-5:])
    return f"stage {task.name} failed; its log {task.log} ends with:\n{end}"
