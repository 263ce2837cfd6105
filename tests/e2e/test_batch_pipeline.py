"""The compiled batch pipeline on a laptop, as a user runs it."""

import json
from pathlib import Path

import pytest

from seqline.artifacts.exported_model import ExportedModel
from seqline.cli import main

LINES = ["red house", "", "blue tree and green river", "red house", "two rivers", "café ☕", "one"]


@pytest.mark.e2e(seconds=40)
def test_every_line_of_the_input_has_a_prediction_or_an_error_in_its_place(
    exported_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("texts.txt").write_text("\n".join(LINES) + "\n", encoding="utf-8")
    assert main(["compile", "--pipeline", "batch", "--output", "batch.yaml"]) == 0
    # Shards of two lines, out of whose order the output would be seen to fall.
    settings = [f"model={exported_model}", "inference.shard_lines=2", "inference.max_malformed_share=0.2"]
    flags = [word for setting in settings for word in ("--set", setting)]
    assert main(["run", "--pipeline", "batch", "--spec", "batch.yaml", "--data", "texts.txt", *flags]) == 0

    (folder,) = Path(".seqline/runs").glob("*/infer/predictions")
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["instance"] for row in rows] == LINES
    texts = [row.get("prediction", {}).get("text") for row in rows]
    assert [text is None for text in texts] == [not line for line in LINES]
    assert texts[0] == texts[3]
    assert all(row["prediction"]["score"] <= 0 for row in rows if "prediction" in row)

    counts = json.loads((folder / "counts.json").read_text(encoding="utf-8"))
    assert (counts["lines"], counts["predicted"], counts["failed"]) == (7, 6, {"empty": 1})
    assert counts["model_fingerprint"] == ExportedModel(exported_model).read_description().fingerprint
    said = capsys.readouterr().out
    assert "infer" in said
    assert "succeeded" in said
