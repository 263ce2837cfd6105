"""The real process that writes samples: nothing is lost at the end, and what a signal costs is counted."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seqline.artifacts.request_log import read_requests
from seqline.endpoints.sampling import Sampling
from seqline.sampling.features import Sample
from seqline.serving import row_process as module
from seqline.serving.metrics import Metrics
from seqline.serving.row_process import RowProcess
from tests.servers import until

Counted = Callable[..., float]

METRICS = Metrics()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def counted(metrics: Metrics) -> Counted:
    return lambda name, **labels: metrics.registry.get_sample_value(f"seqline_{name}_total", labels) or 0.0


@pytest.fixture
def process(tmp_path: Path, metrics: Metrics) -> Iterator[RowProcess]:
    made = RowProcess(Sampling(1.0, folder=str(tmp_path)), metrics)
    yield made
    made._process.kill()


def sample(id_: str, source: str = "dog") -> Sample:
    return Sample(id_, 1.0, "3", "predict", 0.5, source, "Hund")


def send(process: RowProcess, *ids: str, behind: bool = False) -> None:
    answers = [tuple(sample(id_)) for id_ in ids]
    message = {"answers": answers, "feedback": [], "models": {"3": None}, "behind": behind}
    process.send(message, {"write": len(ids)})


def stored(folder: Path) -> set[str]:
    return set(read_requests(folder, columns=["id"]).table["id"].to_pylist())


def test_what_was_sent_is_stored_when_it_ends(process: RowProcess, tmp_path: Path, counted: Counted) -> None:
    send(process, "a", "b")
    send(process, "c", behind=True)
    process.close(120)
    assert stored(tmp_path) == {"a", "b", "c"}
    assert process._process.returncode == 0
    assert counted("sampled_texts", version="3") == 3
    assert counted("sample_drops", reason="write") == 0
    assert not process.is_ready(urgent=True)


def test_it_calls_the_function_that_redacts_texts(
    tmp_path: Path, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "process_hooks.py").write_text("def stars(text):\n    return text.replace('secret', '***')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    settings = Sampling(1.0, texts=True, redact="process_hooks:stars", folder=str(tmp_path / "samples"))
    process = RowProcess(settings, metrics)
    answers = [tuple(sample("a", "my secret"))]
    process.send({"answers": answers, "feedback": [], "models": {"3": None}, "behind": False}, {"write": 1})
    process.close(120)
    assert read_requests(tmp_path / "samples").table["source"].to_pylist() == ["my ***"]


def test_one_that_was_killed_is_reported_counted_and_started_again(
    process: RowProcess, tmp_path: Path, counted: Counted, caplog: pytest.LogCaptureFixture
) -> None:
    send(process, "a", "b")
    until(lambda: counted("sampled_texts", version="3") == 2)
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: not process._running)
    assert [record.getMessage() for record in caplog.records] == [
        "the process that writes samples was killed by signal 9; 2 rows are lost; starting it again"
    ]
    assert counted("sample_drops", reason="write") == 2
    until(process.is_ready)
    send(process, "c")
    process.close(120)
    assert stored(tmp_path) == {"c"}
    assert counted("sample_drops", reason="write") == 2


def test_rows_that_are_sent_after_its_end_are_counted_as_lost(process: RowProcess, counted: Counted) -> None:
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: not process._running)
    send(process, "a")
    assert counted("sample_drops", reason="write") == 1


def test_the_pause_before_it_starts_again_is_doubled(process: RowProcess) -> None:
    for pause in (2.0, 4.0):
        os.kill(process.pid, signal.SIGKILL)
        until(lambda: not process._running)
        assert not process.is_ready()
        assert process._wait == pause
        assert process.is_ready(urgent=True)


def test_one_that_hangs_is_killed_at_the_end_and_its_rows_are_counted(
    process: RowProcess, tmp_path: Path, counted: Counted, caplog: pytest.LogCaptureFixture
) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    send(process, "a")
    process.close(0.1)
    assert f"the samples were not written to {tmp_path} within 0.1 s" in caplog.text
    assert counted("sample_drops", reason="write") == 1


def test_signals_that_end_a_server_do_not_end_it(process: RowProcess, tmp_path: Path, counted: Counted) -> None:
    send(process, "a")
    until(lambda: counted("sampled_texts", version="3") == 1)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(process.pid, number)
    send(process, "b")
    process.close(120)
    assert stored(tmp_path) == {"a", "b"}


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="Linux only")
def test_it_computes_rows_when_nothing_else_runs_until_it_must_end(process: RowProcess, counted: Counted) -> None:
    def classes() -> set[int]:
        return {os.sched_getscheduler(int(task.name)) for task in Path(f"/proc/{process.pid}/task").iterdir()}

    send(process, "a")
    until(lambda: counted("sampled_texts", version="3") == 1)
    assert os.SCHED_IDLE in classes()
    assert os.sched_getscheduler(process.pid) == os.SCHED_OTHER  # its main thread
    module._leave_idle_class(process.pid)
    assert classes() == {os.SCHED_OTHER} or os.geteuid()


def test_it_writes_what_it_has_when_its_server_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, signal\n"
        "from tests.seqline.serving.test_row_process import METRICS, RowProcess, Sampling, send\n"
        f"process = RowProcess(Sampling(1.0, folder={str(tmp_path)!r}), METRICS)\n"
        "send(process, 'a', 'b')\n"
        "print(process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    pid = int(killed.stdout)
    until(lambda: not Path(f"/proc/{pid}").exists())
    assert stored(tmp_path) == {"a", "b"}


def test_it_imports_no_tensorflow_and_nothing_heavy_before_it_starts() -> None:
    code = (
        "import sys, seqline.serving.row_writer; light = 'pyarrow' not in sys.modules and 'numpy' not in sys.modules; "
        "import seqline.sampling.rows; print(light, 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True False"
