"""The compiled pipeline on a laptop: first run, unchanged, new data; and bad input."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from seqline.compiling.compiler import compile_pipeline
from seqline.components.train.options import Options as Training
from seqline.targets.laptop import Home, run
from seqline.targets.target import Run
from tests.servers import free_port

pytestmark = pytest.mark.e2e

TRAINING = {"preset": "demo", "batch_tokens": 512}
SMALL = {"corpus": {"vocabulary_size": 320}, "decoding": {"beam_size": 2, "max_output_length": 24}}


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_pipeline("training", tmp_path_factory.mktemp("spec") / "training.yaml")


def states(result: Run) -> dict[str, str]:
    assert result.error == ""
    return {task.name: task.state for task in result.tasks}


def summary(result: Run) -> dict[str, Any]:
    return dict(json.loads((result.folder / "summarize" / "summary" / "summary.json").read_text()))


# Two trainings, two exports and four evaluations: on a busy machine they take minutes each.
@pytest.mark.timeout(1200)
def test_first_run_then_unchanged_then_new_data(spec: Path, pairs_file: Path, tmp_path: Path) -> None:
    from seqline.endpoints.local_endpoint import Endpoint

    home = Home(tmp_path / "home")
    endpoint = Endpoint(home.endpoint("demo"))
    data = tmp_path / "pairs.tsv"
    data.write_text(pairs_file.read_text())
    arguments: dict[str, Any] = {
        **SMALL,
        "data": str(data),
        "training": {**TRAINING, "epochs": 12, "warmup_steps": 20},
        "endpoint": str(endpoint.path),
        "serving": {"port": free_port()},
        "gate": [{"metric": "bleu", "margin": 100.0}],
        "checkpoints": str(home.checkpoints),
    }
    always = dict.fromkeys(("snapshot", "champion", "bless", "deploy", "summarize"), "succeeded")
    cachable = ("tokenize", "train", "export", "evaluate", "evaluate champion")
    try:
        first = run(spec, arguments, home)
        assert states(first) == {**always, **dict.fromkeys(cachable, "succeeded")}
        assert summary(first)["champion_metrics"] is None

        # Defaults that are written out, as in a console's form, are the same run.
        training = {**Training(**arguments["training"]).model_dump(), "ema_momentum": 0.999}
        unchanged = run(spec, {**arguments, "training": training}, home)
        assert states(unchanged) == {**always, **dict.fromkeys(cachable, "cached")}
        assert [version.version for version in endpoint.versions()] == [1]

        # An option makes only those stages run again that read it.
        evaluated = run(spec, {**arguments, "evaluation": {"min_slice_size": 5}}, home)
        cached = dict.fromkeys(("tokenize", "train", "export"), "cached")
        assert states(evaluated) == {**always, **dict.fromkeys(cachable, "succeeded"), **cached}

        # New data behind the same path.
        lines = data.read_text().splitlines()
        data.write_text("\n".join([*lines, "red river and river\trot Fluss und Fluss"]) + "\n")
        changed = run(spec, arguments, home)
        assert states(changed) == {**always, **dict.fromkeys(cachable, "succeeded")}
        assert summary(changed)["champion_metrics"] is not None
        live = endpoint.live()
        assert live is not None
        assert live.version == 2

        settings = endpoint.read()
        assert settings is not None
        (prediction,) = httpx.post(settings.predict_url, json={"instances": ["red house"]}).json()["predictions"]
        assert prediction["text"]
        environment = {**os.environ, "COLUMNS": "200"}
        said = subprocess.run(
            [sys.executable, "-m", "seqline.cli", "predict", "red house", "--home", str(home.path)],
            capture_output=True,
            text=True,
            env=environment,
            check=True,
        )
        assert said.stdout.strip() == prediction["text"]
    finally:
        endpoint.stop()


def test_a_model_below_the_limit_is_not_deployed(spec: Path, pairs_file: Path, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    arguments = {
        **SMALL,
        "data": str(pairs_file),
        "training": {**TRAINING, "epochs": 1},
        "gate": [{"metric": "bleu", "minimum": 99.5}],
        "endpoint": str(home.endpoint("demo")),
        "serving": {"port": free_port()},
    }
    result = run(spec, arguments, home)
    assert "deploy" not in states(result)
    assert not home.endpoint("demo").exists()
    (reason,) = [rule["reason"] for rule in summary(result)["decision"]["rules"] if not rule["passed"]]
    assert "99.5" in reason


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
    tmp_path: Path, content: bytes | None, flags: list[str], message: str
) -> None:
    if content is not None:
        (tmp_path / "pairs.tsv").write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-m", "seqline.cli", "run", "--data", "pairs.tsv", "--port", str(free_port()), *flags],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (1, 3)
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert not (tmp_path / ".seqline" / "endpoints").exists()
