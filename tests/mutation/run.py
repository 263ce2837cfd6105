"""Puts one small fault after another into the code, and reports those that no test notices.

The libraries are imported once; a child process for each mutant imports the package with the mutated module in the
place of the real one, and runs the module's tests up to the first that fails. No file is changed.
"""

import argparse
import contextlib
import gc
import importlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.mutation.mutants import Mutant, mutants  # noqa: E402
from tests.mutation.targets import TARGETS, Target  # noqa: E402

SURVIVORS = Path(__file__).with_name("survivors.yaml")
REQUIRED = 85  # percent
FLAGS = [
    *("-x", "-q", "--no-header", "--tb=line", "-m", "not e2e", "-W", "ignore", "--hypothesis-profile", "mutants"),
    *("-p", "no:cacheprovider", "-p", "_hypothesis_pytestplugin", "-p", "pytest_timeout"),
]


@dataclass
class History:
    """What is known of the tests of a target.

    Attributes:
        seconds: By the test's name.
        kills: Number of mutants that each test noticed first.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    kills: dict[str, int] = field(default_factory=dict)
    last: str = ""


class Tests:
    """A pytest plugin: the likeliest test to fail comes first; records times and the first failure."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.seconds: dict[str, float] = {}
        self.failed = ""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Sorts the tests."""
        history = self.history
        items.sort(
            key=lambda item: (item.nodeid != history.last, history.seconds.get(item.nodeid, 0.0) > 1.0,
                              -history.kills.get(item.nodeid, 0), history.seconds.get(item.nodeid, 0.0))
        )  # fmt: skip

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Records a result."""
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed:
            self.failed = report.nodeid


class Replaced(MetaPathFinder):
    """Finds one module with another source than its file's."""

    def __init__(self, path: str, source: str) -> None:
        self.name = "seqline." + path.removesuffix(".py").replace("/", ".")
        self.path, self.source = str(ROOT / "seqline" / path), source

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Finds the module."""
        if name != self.name:
            return None
        loader = SourceFileLoader(name, self.path)
        loader.get_code = lambda _: compile(self.source, self.path, "exec")  # type: ignore[method-assign]
        return spec_from_file_location(name, self.path, loader=loader)


def run_tests(target: Target, history: History, work: Path, limit: float, replaced: Replaced | None = None) -> int:
    """Runs the tests of a target in a child process.

    Args:
        target: The target.
        history: Updated.
        work: Folder for temporary files.
        limit: Seconds after which the tests have noticed: the mutant does not end.
        replaced: The mutated module.

    Returns:
        pytest's exit code; negative for a signal.
    """
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    result = work / "result.json"
    child = os.fork()
    if not child:
        code = 3
        with contextlib.suppress(BaseException):
            os.setsid()
            log = os.open(work / "log.txt", os.O_WRONLY | os.O_CREAT)
            os.dup2(log, 1)
            os.dup2(log, 2)
            if replaced:
                sys.meta_path.insert(0, replaced)
            plugin = Tests(history)
            tests = [f"tests/{path}" for path in target.tests]
            code = int(pytest.main([*FLAGS, f"--basetemp={work / 'tmp'}", *tests], plugins=[plugin]))
            result.write_text(json.dumps([plugin.seconds, plugin.failed]))
        os._exit(code)
    status = _wait(child, time.monotonic() + limit)
    with contextlib.suppress(OSError, ValueError):
        seconds, failed = json.loads(result.read_text())
        history.seconds = {**seconds, **history.seconds}
        if failed:
            history.kills[failed] = history.kills.get(failed, 0) + 1
            history.last = failed
    return status


def _wait(child: int, end: float) -> int:
    """Waits for a child process until a time, then ends it with its own children."""
    status = None
    while status is None and time.monotonic() < end:
        done, found = os.waitpid(child, os.WNOHANG)
        status = found if done else time.sleep(0.01)
    with contextlib.suppress(OSError):
        os.killpg(child, signal.SIGKILL)
    if status is None:
        _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


@dataclass
class Result:
    """The mutants of a module.

    Attributes:
        path: The module.
        killed: How many were noticed.
        survived: Those that were not.
    """

    path: str
    killed: int
    survived: list[Mutant]

    @property
    def count(self) -> int:
        """Number of mutants."""
        return self.killed + len(self.survived)


def run_target(target: Target, only: str, every: int, work: Path) -> Iterator[Result]:
    """Runs the mutants of a target.

    Args:
        target: The target.
        only: Text in the paths of the modules to mutate.
        every: 1 for all mutants, 4 for a quarter of them.
        work: Folder for temporary files.

    Yields:
        The result of each module.

    Raises:
        SystemExit: If the tests fail without a mutant.
    """
    paths = [path for path in target.modules if only in path]
    if not paths:
        return
    for name in target.imports:
        importlib.import_module(name)
    gc.freeze()  # the children need not look through what they share
    history, start = History(), time.monotonic()
    if run_tests(target, history, work, 1800):
        raise SystemExit(f"the tests fail without a mutant:\n{(work / 'log.txt').read_text()}")
    limit = 30 + 5 * (time.monotonic() - start)
    print(f"{', '.join(target.tests)}: {time.monotonic() - start:.1f} s", flush=True)
    for path in paths:
        source = (ROOT / "seqline" / path).read_text(encoding="utf-8")
        result = Result(path, 0, [])
        for mutant in islice(mutants(source), 0, None, every):
            code = run_tests(target, history, work, limit, Replaced(path, mutant.source))
            if code in (4, 5):
                raise SystemExit(f"no tests ran:\n{(work / 'log.txt').read_text()}")
            if code:
                result.killed += 1
            else:
                result.survived.append(mutant)
                print(f"{path}:{mutant.line} survived\n  - {mutant.was}\n  + {mutant.now}", flush=True)
        print(f"{path}: {result.killed} of {result.count} killed", flush=True)
        yield result


def explained(path: str, mutant: Mutant) -> str:
    """Returns the reason why no test need notice a mutant; empty if there is none."""
    known = yaml.safe_load(SURVIVORS.read_text(encoding="utf-8")) or {}
    return next((one["why"] for one in known.get(path, []) if (one["was"], one["now"]) == (mutant.was, mutant.now)), "")


def describe(results: list[Result]) -> str:
    """Returns the report: a table of the modules, and the survivors with their reasons."""
    lines = [f"{'module':<44} {'mutants':>7} {'killed':>7} {'survived':>8} {'share':>6}"]
    total = Result("total", sum(one.killed for one in results), [m for one in results for m in one.survived])
    lines += [
        f"{one.path:<44} {one.count:>7} {one.killed:>7} {len(one.survived):>8} {100 * one.killed / one.count:>5.1f}%"
        for one in [*results, total]
        if one.count
    ]
    for one in results:
        for mutant in one.survived:
            why = explained(one.path, mutant) or "UNEXPLAINED: write a test, or a reason in survivors.yaml"
            lines += ["", f"{one.path}:{mutant.line}: {why}", f"  - {mutant.was}", f"  + {mutant.now}"]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Runs all mutants; returns 1 if too few are noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="mutate only modules with this text in their paths")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "mutants.txt", help="the report")
    parser.add_argument("--every", type=int, default=1, help="try one mutant in so many")
    flags = parser.parse_args()
    os.chdir(ROOT)
    os.environ |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    from hypothesis import settings

    settings.register_profile("mutants", deadline=None, derandomize=True, database=None, max_examples=50)
    work = flags.output.with_suffix(f".{os.getpid()}")
    try:
        results = [result for target in TARGETS for result in run_target(target, flags.only, flags.every, work)]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    flags.output.parent.mkdir(parents=True, exist_ok=True)
    flags.output.write_text(describe(results), encoding="utf-8")
    print(flags.output.read_text(encoding="utf-8").partition("\n\n")[0])
    count = sum(one.count for one in results)
    return int(100 * sum(one.killed for one in results) < REQUIRED * count)


if __name__ == "__main__":
    sys.exit(main())
