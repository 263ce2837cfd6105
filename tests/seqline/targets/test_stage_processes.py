import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from kfp import compiler, dsl

from seqline.targets import stage_processes
from seqline.targets.kfp_local import imports_tensorflow
from seqline.targets.laptop import Home, run
from seqline.targets.stage_processes import StageProcesses

# KFP's command of a component without the executor's input: shell, flag, script, module.
PYTHON = [
    "sh",
    "-ec",
    'printf "%s" "$0" > "$program_path/ephemeral_component.py"; python3 -m kfp.dsl.executor_main "$@"',
]
FUNCTION = "import sys\n\ndef stage():\n{body}\n"
INPUT = '{"inputs": {}, "outputs": {"outputFile": "output/executor.json"}}'
ARGUMENTS = ["--function_to_execute", "stage", "--executor_input", INPUT]


@pytest.fixture
def processes() -> Iterator[StageProcesses]:
    with StageProcesses() as running:
        yield running


def command(*lines: str) -> list[str]:
    """A compiled component that runs these lines."""
    return [*PYTHON, FUNCTION.format(body="\n".join(f"    {line}" for line in lines)), *ARGUMENTS]


def start(processes: StageProcesses, words: list[str], folder: Path, **options: object) -> tuple[int, str]:
    """Exit code and output of a stage."""
    environment: Mapping[str, str] = options.pop("environment", {})  # type: ignore[assignment]
    code = processes.run(words, folder, folder / "log", environment, **options)  # type: ignore[arg-type]
    return code, (folder / "log").read_text()


def ends(pid: int) -> bool:
    """Waits until a process has ended."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


@dsl.component(base_image="anything:1", install_kfp_package=False)
def copy(path: str, text: str, settings: dict) -> None:
    from pathlib import Path

    Path(path).write_text(text + str(len(settings["long"])))


@dsl.pipeline(name="copies")
def copies(path: str, text: str, settings: dict = {}) -> None:  # noqa: B006
    copy(path=path, text=text, settings=settings)


def test_parameters_reach_a_stage_as_they_are_written(tmp_path: Path) -> None:
    compiler.Compiler().compile(copies, str(tmp_path / "copies.yaml"))
    output = tmp_path / "python3-course" / "text.txt"
    output.parent.mkdir()
    text = "for python3 users: $HOME `id` \"quoted\" 'single' \\n \n next line"
    # Longer than a word of a command line may be on Linux.
    arguments = {"path": str(output), "text": text, "settings": {"long": "x" * 300_000}}
    result = run(tmp_path / "copies.yaml", arguments, Home(tmp_path / "python3-home"))
    assert result.state == "succeeded", result.error
    assert output.read_text() == text + "300000"


def test_stages_have_their_own_variables_modules_and_folder(processes: StageProcesses, tmp_path: Path) -> None:
    first = command("import os, colorsys", "os.environ['LEFT'] = '1'", "os.chdir('/')", "print(os.environ['GIVEN'])")
    second = command("import os", "print('colorsys' in sys.modules, 'LEFT' in os.environ, os.getcwd())")
    assert "value\n" in start(processes, first, tmp_path, environment={"GIVEN": "value"})[1]
    assert f"False False {tmp_path}\n" in start(processes, second, tmp_path)[1]


@pytest.mark.parametrize(
    ("line", "code", "output"),
    [
        ("raise ValueError('the reason')", 1, "ValueError: the reason\n"),
        ("sys.exit(7)", 7, ""),
        ("sys.exit('the reason')", 1, "the reason\n"),
        ("import os; os.kill(os.getpid(), 9)", -9, ""),
    ],
)
def test_a_failed_stage_leaves_its_exit_code_and_its_message(
    processes: StageProcesses, tmp_path: Path, line: str, code: int, output: str
) -> None:
    assert start(processes, command(line), tmp_path)[0] == code
    assert output in (tmp_path / "log").read_text()
    assert start(processes, command("print('next')"), tmp_path)[0] == 0


def test_exit_functions_and_threads_of_a_stage_end_before_it(processes: StageProcesses, tmp_path: Path) -> None:
    lines = (
        "import atexit, threading, time",
        "atexit.register(print, 'exit function')",
        "threading.Thread(target=lambda: (time.sleep(0.05), print('thread'))).start()",
    )
    assert start(processes, command(*lines), tmp_path)[1].endswith("thread\nexit function\n")


def test_a_stage_with_packages_to_install_starts_after_them_in_a_new_interpreter(
    processes: StageProcesses, tmp_path: Path
) -> None:
    installing = ["sh", "-c", 'python3 -c "print(\'installed\')" && "$0" "$@"']
    words = [*installing, *command("print('kfp' in sys.modules, sys.argv[0])")]
    code, output = start(processes, words, tmp_path)
    assert code == 0
    assert output.startswith("installed\n")
    assert start(processes, ["sh", "-c", 'exit 3; "$0" "$@"', *command("print('never')")], tmp_path) == (3, "")


def test_any_other_command_runs_as_it_is(processes: StageProcesses, tmp_path: Path) -> None:
    assert start(processes, ["sh", "-c", "echo python3 $0", "x"], tmp_path) == (0, "python3 x\n")
    # As by an engine of containers.
    assert start(processes, ["env", "echo", *command("print('no')")], tmp_path)[1].startswith("sh -ec ")


def test_large_libraries_are_imported_once_and_only_for_the_stages_that_need_them(
    processes: StageProcesses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_processes, "LARGE", (*stage_processes.COMMON, "colorsys", "no_such_module"))
    imported = command("print('colorsys' in sys.modules)")
    assert "False\n" in start(processes, imported, tmp_path, large=True)[1]  # nobody has started to import them
    processes.warm_up(["docker", *imported], tmp_path)
    assert "False\n" in start(processes, imported, tmp_path, large=True)[1]  # a stage elsewhere does not need them
    processes.warm_up(imported, tmp_path)
    assert "True\n" in start(processes, imported, tmp_path, large=True)[1]
    assert "True\n" in start(processes, imported, tmp_path, large=True)[1]
    assert "False\n" in start(processes, imported, tmp_path)[1]


def test_modules_of_later_stages_are_imported_before_the_first(tmp_path: Path) -> None:
    with StageProcesses(["colorsys", "no_such_module"]) as processes:
        processes.begin(tmp_path)
        assert "True\n" in start(processes, command("print('colorsys' in sys.modules)"), tmp_path)[1]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("seqline/train:0.1.0", True),
        ("europe-docker.pkg.dev/project/repository/evaluate@sha256:0123", True),
        ("localhost:5000/infer", True),
        ("seqline/tokenize:0.1.0", False),
        ("train/other:1", False),
    ],
)
def test_tensorflow_is_imported_for_the_images_that_have_it(image: str, expected: bool) -> None:
    assert imports_tensorflow(image) is expected


INTERRUPTED = """
import sys, signal
from pathlib import Path
from seqline.targets.stage_processes import StageProcesses

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background process inherits that it is ignored
folder, source, patience = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
words = ["sh", "-ec", "ephemeral_component.py", source, *sys.argv[4:]]
with StageProcesses() as processes:
    processes.run(words, folder, folder / "log", {}, patience=patience)
"""


def interrupted(folder: Path, number: signal.Signals, patience: float, *lines: str) -> tuple[int, str]:
    """Signals a run while its stage, which writes its pid to `pid`, is running; returns the pid and the log."""
    source = command("import os, time", "from pathlib import Path", *lines)[3]
    parent = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(folder), source, str(patience), *ARGUMENTS], stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + 60
    while not (folder / "pid").exists() and time.monotonic() < end:
        assert parent.poll() is None
        time.sleep(0.01)
    pid = int((folder / "pid").read_text())
    parent.send_signal(number)
    parent.wait(60)
    assert ends(pid)
    return pid, (folder / "log").read_text()


READY = "Path('new').write_text(str(os.getpid())); os.rename('new', 'pid')"
SAVING = ("try:", f"    {READY}; time.sleep(60)", "except KeyboardInterrupt:", "    print('saved')")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stage_saves_its_work_when_the_run_is_interrupted_or_killed(tmp_path: Path, number: signal.Signals) -> None:
    assert "saved\n" in interrupted(tmp_path, number, 60, *SAVING)[1]


def test_a_stage_that_does_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    lines = (
        "import signal, subprocess",
        "signal.signal(signal.SIGINT, signal.SIG_IGN)",
        "child = subprocess.Popen(['sleep', '60'])",
        "Path('child').write_text(str(child.pid))",
        f"{READY}; time.sleep(60)",
    )
    interrupted(tmp_path, signal.SIGINT, 0.05, *lines)
    assert ends(int((tmp_path / "child").read_text()))


def test_a_stage_ends_when_its_server_is_killed(processes: StageProcesses, tmp_path: Path) -> None:
    lines = (
        "import os, time",
        "open('pid', 'w').write(str(os.getpid()))",
        "os.kill(os.getppid(), 9)",
        "time.sleep(60)",
    )
    assert start(processes, command(*lines), tmp_path)[0] == -signal.SIGKILL
    assert ends(int((tmp_path / "pid").read_text()))
