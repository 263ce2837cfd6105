"""The compiled pipeline on a laptop: first run, unchanged, rejected, new data; and bad input."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from seqline.cli import main
from seqline.compiling.compiler import compile_pipeline
from seqline.components.train.options import Options as Training
from seqline.endpoints.local_endpoint import Endpoint
from seqline.targets.laptop import Home, run
from seqline.targets.run_record import read_run
from seqline.targets.target import Run
from tests.servers import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("shared_stage_servers")]

# Enough epochs for an output that is not empty.
TRAINING = {
    "preset": "demo", "precision": "float32", "decoded_sample": 0, "batch_tokens": 512, "epochs": 4, "warmup_steps": 20,
}  # fmt: skip
SMALL = {"corpus": {"vocabulary_size": 320}, "decoding": {"beam_size": 2, "max_output_length": 24}}
ALWAYS = dict.fromkeys(("snapshot", "champion", "bless", "deploy", "summarize"), "succeeded")
COMPARED = ("evaluate champion", "evaluate best", "evaluate baseline")
CACHABLE = ("tokenize", "train", "export", "baseline", "evaluate", *COMPARED)
HOSTILE = """
from pathlib import Path
Path(__file__).with_suffix(".imported").touch()
raise RuntimeError("a module of the user's folder was imported")
"""


def command(*arguments: str, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Runs `seqline` as its script does, in a folder."""
    script = str(Path(sys.executable).with_name("seqline"))
    return subprocess.run(
        [script, *arguments], cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True
    )


def states(result: Run) -> dict[str, str]:
    assert result.error == ""
    return {task.name: task.state for task in result.tasks}


def summary(result: Run) -> dict[str, Any]:
    return dict(json.loads((result.folder / "summarize" / "summary" / "summary.json").read_text()))


def hostile_folder(folder: Path) -> Path:
    """A folder with modules of the names of ours and of our libraries; to import one is an error, and leaves a file."""
    for package in ("components", "pipelines"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text(HOSTILE)
    # Only stages import these, not the command line.
    for module in ("sentencepiece", "tensorflow", "tensorflow_text", "apache_beam"):
        (folder / f"{module}.py").write_text(HOSTILE)
    return folder


# Two trainings, two exports and five evaluations: on a busy machine they take minutes each.
@pytest.mark.timeout(1200)
@pytest.mark.e2e(seconds=150)
def test_first_run_then_unchanged_then_rejected_then_new_data(pairs_file: Path, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    endpoint = Endpoint(home.endpoint("demo"))
    data = tmp_path / "pairs.tsv"
    data.write_text(pairs_file.read_text())
    spec = compile_pipeline("training", tmp_path / "training.yaml")
    arguments: dict[str, Any] = {
        **SMALL,
        "data": str(data),
        "training": TRAINING,
        "endpoint": str(endpoint.path),
        "serving": {"port": free_port()},
        "gate": [{"metric": "bleu", "margin": 100.0}],
        "checkpoints": str(home.checkpoints),
    }
    try:
        settings = [
            word
            for name, value in arguments.items()
            for word in ("--set", f"{name}={value if isinstance(value, str) else json.dumps(value)}")
        ]
        assert main(["run", "--spec", str(spec), "--home", str(home.path), *settings]) == 0
        (first,) = [read_run(folder) for folder in home.runs.iterdir()]
        assert states(first) == {**ALWAYS, **dict.fromkeys(CACHABLE, "succeeded")}
        assert summary(first)["champion_metrics"] is None

        # Defaults that are written out, as in a console's form, are the same run. There is a champion now: this model.
        training = {**Training(**arguments["training"]).model_dump(), "ema_momentum": 0.999}
        unchanged = run(spec, {**arguments, "training": training}, home)
        cached = {**dict.fromkeys(CACHABLE, "cached"), "evaluate champion": "succeeded"}
        assert states(unchanged) == {**ALWAYS, **cached}
        assert [version.version for version in endpoint.versions()] == [1]

        # An option makes only those stages run again that read it; a model that is not good enough makes no endpoint.
        other = home.endpoint("other")
        strict = {"evaluation": {"min_slice_size": 5}, "gate": [{"metric": "bleu", "minimum": 99.5}]}
        rejected = run(spec, {**arguments, **strict, "endpoint": str(other)}, home)
        expected = {**ALWAYS, **dict.fromkeys(CACHABLE, "succeeded")}
        expected |= dict.fromkeys(("tokenize", "train", "export", "baseline"), "cached")
        del expected["deploy"]
        assert states(rejected) == expected
        assert not other.exists()
        (reason,) = [rule["reason"] for rule in summary(rejected)["decision"]["rules"] if not rule["passed"]]
        assert "99.5" in reason

        # New data behind the same path.
        lines = data.read_text().splitlines()
        data.write_text("\n".join([*lines, "red river and river\trot Fluss und Fluss"]) + "\n")
        changed = run(spec, arguments, home)
        assert states(changed) == {**ALWAYS, **dict.fromkeys(CACHABLE, "succeeded")}
        assert summary(changed)["champion_metrics"] is not None
        live = endpoint.live()
        assert live is not None
        assert live.version == 2

        settings_of_endpoint = endpoint.read()
        assert settings_of_endpoint is not None
        answer = httpx.post(settings_of_endpoint.predict_url, json={"instances": ["red house"]})
        (prediction,) = answer.json()["predictions"]
        assert prediction["text"]
        printed = command("predict", "red house", "--home", str(home.path), folder=tmp_path, COLUMNS="200")
        assert printed.stdout.strip() == prediction["text"]
    finally:
        endpoint.stop()


@pytest.mark.parametrize(
    ("content", "flags", "message"),
    [
        (None, [], "pairs.tsv"),
        (b"", [], "empty"),
        (b"one\ttwo\nonly one column\n", [], "line 2"),
        (b"one\ttwo\n\xff\xfe\tx\n", [], "line 2"),
        (b"one\teins\ntwo\tzwei\n", [], "too few"),
        (
            b"one\teins\n",
            ["--set", "dropout=5"],
            "training.dropout must be at least 0 and below 1, not 5",
        ),
        (b"one\teins\n", ["--set", "epoch=3"], "did you mean 'training.epochs'"),
        (b"one\teins\n", ["--set", "epochs=many"], "training.epochs must be a whole number, not 'many'"),
    ],
)
def test_bad_input_is_one_message_and_leaves_no_endpoint(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    content: bytes | None,
    flags: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("pairs.tsv").write_bytes(content)
    code = main(["run", "--data", "pairs.tsv", "--port", str(free_port()), *flags])
    check_bad_input(tmp_path, code, *capfd.readouterr(), message)


def check_bad_input(folder: Path, code: int, output: str, errors: str, message: str) -> None:
    assert code in (1, 3)
    assert errors.startswith("error: ")
    assert message in errors
    assert "Traceback" not in errors + output
    assert not (folder / ".seqline" / "endpoints").exists()


def test_a_run_imports_no_module_of_the_users_folder(tmp_path: Path) -> None:
    folder = hostile_folder(tmp_path)
    (folder / "pairs.tsv").write_bytes(b"one\teins\ntwo\tzwei\n")
    done = command("run", "--data", "pairs.tsv", "--port", str(free_port()), folder=folder, PYTHONPATH=".")
    # Of the tokenize stage, which is in a process of its own; at the same time another one imports TensorFlow.
    check_bad_input(folder, done.returncode, done.stdout, done.stderr, "too few")
    assert list(folder.rglob("*.imported")) == []
