"""A run that is interrupted or killed leaves a state from which the next one continues."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from kfp import compiler, dsl

pytestmark = pytest.mark.e2e


@dsl.component(base_image="anything:1", install_kfp_package=False)
def first(count: str) -> str:
    from pathlib import Path

    with Path(count).open("a") as file:
        file.write("x")
    return "done"


@dsl.component(base_image="anything:1", install_kfp_package=False)
def second(after: str, gate: str) -> None:
    import time
    from pathlib import Path

    print("waiting", flush=True)
    while not Path(gate).exists():
        time.sleep(0.05)


@dsl.pipeline(name="gated")
def gated(count: str, gate: str) -> None:
    second(after=first(count=count).output, gate=gate)


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    compiler.Compiler().compile(gated, str(tmp_path / "gated.yaml"))
    settings = ["--set", f"count={tmp_path / 'count'}", "--set", f"gate={tmp_path / 'gate'}"]
    return [sys.executable, "-m", "seqline.cli", "run", "--from-template", str(tmp_path / "gated.yaml"), *settings]


def records(home: Path) -> list[dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in sorted(home.glob(".seqline/runs/*/run.json"))]
    return sorted(found, key=lambda run: run["created"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_next_run_continues_from_the_cached_stages(tmp_path: Path, command: list[str], number: int) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    running = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        # Tests that run in a shell's background inherit that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    log = None
    end = time.monotonic() + 120
    while time.monotonic() < end and not (log and "waiting" in log.read_text()):
        assert running.poll() is None
        log = next(iter(tmp_path.glob(".seqline/runs/*/logs/second.log")), None)
        time.sleep(0.05)
    running.send_signal(number)
    said = running.communicate(timeout=60)[1]
    if number != signal.SIGKILL:
        assert running.returncode == 130
        assert "resume from the cached stages" in said
        (stopped,) = records(tmp_path)
        assert stopped["state"] == "cancelled"
        assert [task["state"] for task in stopped["tasks"]] == ["succeeded", "cancelled"]
        assert (Path(stopped["root"]) / "report.html").exists()
    (tmp_path / "gate").touch()
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    assert [task["state"] for task in records(tmp_path)[-1]["tasks"]] == ["cached", "succeeded"]
    assert (tmp_path / "count").read_text() == "x"
