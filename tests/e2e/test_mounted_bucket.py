"""The training pipeline with its pipeline root in a mounted bucket, killed in each stage."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from seqline.compiling.compiler import compile_pipeline
from seqline.targets.laptop import Home, run
from seqline.targets.stage_processes import StageProcesses
from tests.stand_ins.gcsfuse import Mount

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("shared_stage_servers")]

ARGUMENTS = {
    "corpus": {"vocabulary_size": 320},
    "training": {"preset": "demo", "precision": "float32", "decoded_sample": 0, "batch_tokens": 512, "epochs": 1},
    "decoding": {"beam_size": 1, "max_output_length": 8},
    "gate": [{"metric": "bleu", "minimum": 0.0}],
}
TASKS = (
    "snapshot",
    "tokenize",
    "train",
    "export",
    "champion",
    "evaluate",
    "evaluate-2",
    "evaluate-3",
    "baseline",
    "evaluate-4",
    "bless",
    "deploy",
)
ARTIFACTS = ("corpus", "checkpoint", "model", "evaluation", "decision", "summary")


# A pipeline whose every stage runs twice.
@pytest.mark.timeout(1200)
@pytest.mark.e2e(seconds=150)
def test_killed_in_each_stage_the_pipeline_succeeds_on_the_second_attempt(
    mount: Mount, bucket: Path, pairs_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, killed, attempts = Home(bucket), [], 0
    one_attempt = StageProcesses.run

    def retried(self: StageProcesses, command: Any, folder: Path, log: Path, *rest: Any, **more: Any) -> int:
        # As Vertex does: the same command, whose outputs have the same paths.
        while (code := one_attempt(self, command, folder, log, *rest, **more)) == -signal.SIGKILL:
            killed.append(log.stem)
            mount.forget_empty_folders()
            if killed.count(log.stem) == attempts:
                break
        return code

    monkeypatch.setattr(StageProcesses, "run", retried)
    # Killed by its first write of an output, which leaves a part of it; train also while it saves its state.
    for task in (*TASKS, "summarize"):
        mount.kill("write", f"{bucket.name}/runs/*/{task}/*")
    mount.slow(0.002)
    mount.kill("rename", f"{bucket.name}/checkpoints/*/state*")
    for artifact in ARTIFACTS:
        mount.fail("flush", f"{bucket.name}/runs/*/{artifact}/*", each=True)
    spec = compile_pipeline("training", tmp_path / "training.yaml")
    arguments = {**ARGUMENTS, "data": str(pairs_file), "checkpoints": str(home.checkpoints)}

    attempts = 1
    first = run(spec, arguments, home)
    assert (first.state, killed) == ("failed", ["snapshot", "summarize"])
    attempts = 0
    second = run(spec, arguments, home)
    assert (second.error, second.state) == ("", "succeeded")
    assert sorted(killed) == sorted([*TASKS, "train", "summarize"])
    assert mount.left() == []
    summary = json.loads((second.folder / "summarize" / "summary" / "summary.json").read_text())
    assert summary["state"] == "SUCCEEDED"
    assert summary["decision"]["blessed"] is True
    assert (second.folder / "report.html").exists()

    # What was written is complete: nothing runs again.
    third = run(spec, arguments, home)
    expected = dict.fromkeys(("tokenize", "train", "export", "evaluate"), "cached")
    assert expected.items() <= {task.name: task.state for task in third.tasks}.items()
    assert not home.checkpoints.exists()
