"""The compiled batch pipeline on a laptop, as a user runs it."""

import json
from pathlib import Path

import pytest

from seqline.artifacts.exported_model import ExportedModel
from seqline.cli import main

LINES = [
    '{"id": 1, "text": "red house"}',
    "",
    '"blue tree and green river"',
    '{"id": 4, "text"',
    '{"id": 5, "text": "red house"}',
    '"café ☕"',
    '"one"',
]
INSTANCES = [
    {"id": 1, "text": "red house"},
    "",
    "blue tree and green river",
    '{"id": 4, "text"',
    {"id": 5, "text": "red house"},
    "café ☕",
    "one",
]


@pytest.mark.e2e(seconds=40)
@pytest.mark.usefixtures("shared_stage_servers")
def test_every_line_of_the_input_has_a_prediction_or_an_error_in_its_place(
    exported_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("texts.jsonl").write_text("\n".join(LINES) + "\n", encoding="utf-8")
    assert main(["compile", "--pipeline", "batch", "--output", "batch.yaml"]) == 0
    # Without these settings of its stage, one malformed line of seven would stop the run.
    settings = ["source_field=text", "inference.max_malformed_share=0.2", "inference.shard_lines=2"]
    flags = [word for setting in [f"model={exported_model}", *settings] for word in ("--set", setting)]
    assert main(["run", "--pipeline", "batch", "--spec", "batch.yaml", "--data", "texts.jsonl", *flags]) == 0

    (folder,) = Path(".seqline/runs").glob("*/infer/predictions")
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["instance"] for row in rows] == INSTANCES
    assert [number for number, row in enumerate(rows) if "error" in row] == [1, 3]
    predictions = [row["prediction"] for row in rows if "error" not in row]
    assert all(isinstance(one["text"], str) and one["score"] <= 0 for one in predictions)
    assert rows[0]["prediction"]["text"] == rows[4]["prediction"]["text"]

    counts = json.loads((folder / "counts.json").read_text(encoding="utf-8"))
    assert (counts["lines"], counts["predicted"], counts["failed"]) == (7, 5, {"empty": 1, "not_json": 1})
    assert counts["model_fingerprint"] == ExportedModel(exported_model).read_description().fingerprint
    shown = capsys.readouterr().out
    lines = [line.split()[:2] for line in shown.splitlines()]
    assert ["snapshot", "succeeded"] in lines
    assert ["infer", "succeeded"] in lines
    assert "The run succeeded, without a decision to deploy." in shown
    assert "Not deployed" not in shown
