"""Starts a run on a laptop: `seqline run`, in a process that outlives this one."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

from seqline.artifacts.retraining import Attempt
from seqline.components.retrain.options import Options
from seqline.endpoints import process
from seqline.errors import UserError
from seqline.paths import expanded

log = logging.getLogger(__name__)

RUNS = "runs"


class Laptop:
    """The runs of a home folder.

    Args:
        home: The folder; `seqline.yaml` beside it is read, as `seqline run` does there.
    """

    def __init__(self, home: Path) -> None:
        self.home = home

    def start(self, attempt: Attempt, options: Options) -> Attempt:
        """Starts the process, unless the log of the attempt exists: it is made before, and by one process only."""
        file = self._file(attempt, "log")
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            output = file.open("x", encoding="utf-8")
        except FileExistsError:
            log.info("the run %s was already started", attempt.run)
            return attempt
        with output:
            started = subprocess.Popen(
                command(attempt, options, self.home),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.home.parent,
                env=_environment(),
                start_new_session=True,
            )
        process.record(self._process(attempt), started.pid)
        log.info("`seqline run` was started; its output is in %s", output.name)
        return attempt

    def runs(self, attempt: Attempt) -> bool:
        """Whether the process runs."""
        return process.recorded(self._process(attempt)) is not None

    def knows(self, attempt: Attempt) -> bool:
        """Whether the log of the attempt exists."""
        return self._file(attempt, "log").exists()

    def where(self, attempt: Attempt) -> str:
        """The log of the process, which names the run's folder."""
        return f"; its output is in {self._file(attempt, 'log')}"

    def _process(self, attempt: Attempt) -> Path:
        return self._file(attempt, "pid")

    def _file(self, attempt: Attempt, kind: str) -> Path:
        return self.home / "retrainings" / f"{attempt.run}.{kind}"


def _environment() -> dict[str, str]:
    # kfp sets it in a stage (kfp/dsl/executor_main.py), where kfp/__init__.py then leaves out what compiles pipelines.
    return process.isolated({name: value for name, value in os.environ.items() if name != "_KFP_RUNTIME"})


def command(attempt: Attempt, options: Options, home: Path) -> list[str]:
    """The program and its arguments.

    Args:
        attempt: The attempt.
        options: Options of retraining.
        home: The home folder.
    """
    return [sys.executable, "-m", "seqline.cli", *arguments(attempt, options, home)]


def arguments(attempt: Attempt, options: Options, home: Path) -> list[str]:
    """The command line of the run.

    Args:
        attempt: The attempt.
        options: Options of retraining.
        home: The home folder.
    """
    values = {**options.parameters, "reason": attempt.reason}
    words = ["run", "--target", "laptop", "--home", str(home)]
    words += ["--from-template", str(expanded(options.template))] if options.template else ["--pipeline", "training"]
    for name, value in values.items():
        # A text is passed as it is: what --set parses is a number, an object or a list.
        words += ["--set", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    return words


def home_of(home: str, address: str) -> Path:
    """Finds the home folder of a laptop's runs.

    Args:
        home: The folder that the options name; empty for that of this run.
        address: An output of this run: HOME/runs/RUN/TASK/NAME.

    Raises:
        UserError: If the output is not in a folder of runs.
    """
    if home:
        return expanded(home).absolute()
    found = next((one.parent for one in Path(address).absolute().parents if one.name == RUNS), None)
    if found is None:
        raise UserError(f"{address} is not in a folder of runs: set retraining.home to the folder of a laptop's runs")
    return found
