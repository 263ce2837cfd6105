"""Batch inference through a real SavedModel and Beam's RunInference."""

import json
import logging
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions

from seqline import progress
from seqline.artifacts.predictions import Predictions
from seqline.components.infer import stage
from seqline.components.infer.options import Options
from seqline.components.infer.stage import infer, served_model
from seqline.endpoints.local_endpoint import Endpoint
from seqline.errors import UserError


def test_every_line_has_its_prediction_in_the_order_of_the_input(
    toy_models: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "FILE_SECONDS", 0.0)
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "progress"))
    lines = [f"line {number} {'x' * (number * 7 % 50)}" for number in range(57)]
    (tmp_path / "in.txt").write_text("\n".join(lines))
    counts = infer(
        str(tmp_path / "in.txt"), str(toy_models.loud), tmp_path / "out", options=Options(batch_size=4, shard_lines=10)
    )
    assert (counts.lines, counts.predicted) == (57, 57)
    rows = list(Predictions(tmp_path / "out").read())
    assert rows == [{"instance": line, "prediction": {"text": line.upper(), "score": 0.0}} for line in lines]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "out", "progress"]
    assert str(progress.newest(tmp_path / "progress")).startswith("6 of 6 shards")


def test_malformed_lines_are_counted_and_keep_their_position(toy_models: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"source": "ä", "id": 1}\n{"sauce": "b"}\n\n"c"\n')
    (tmp_path / "b.tsv").write_bytes(b"d\tD\n\xff\n")
    options = Options(max_malformed_share=0.4)
    infer(f"{tmp_path}/b.tsv,{tmp_path}/a.jsonl", str(toy_models.loud), tmp_path / "out", options=options)
    rows = list(Predictions(tmp_path / "out").read())
    assert [row.get("prediction", {}).get("text") for row in rows] == ["ä", None, None, "C", "D", None]
    assert rows[0]["instance"] == {"source": "ä", "id": 1}
    assert "no field 'source'" in rows[1]["error"]
    counts = Predictions(tmp_path / "out").read_counts()
    assert counts.failed == {"empty": 1, "missing_field": 1, "not_utf8": 1}
    assert (counts.lines, counts.predicted, counts.model_fingerprint) == (6, 3, "loud")
    assert counts.data_fingerprint


def test_too_many_malformed_lines_stop_the_run_and_nothing_is_written(
    toy_models: SimpleNamespace, tmp_path: Path
) -> None:
    (tmp_path / "a.jsonl").write_text('"a"\n{\n')
    with pytest.raises(
        UserError, match=r"1 of 2 lines are malformed \(1 not_json\), more than max_malformed_share 0.1"
    ):
        infer(f"{tmp_path}/a.jsonl", str(toy_models.loud), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_wrong_field_is_rejected_before_the_model_is_loaded(tmp_path: Path, toy_models: SimpleNamespace) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n' * 3)
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.json").write_bytes((toy_models.loud / "model.json").read_bytes())
    with pytest.raises(UserError, match="no line of the shard from line 1 on is valid: no field 'source'"):
        infer(f"{tmp_path}/a.jsonl", str(model), tmp_path / "out")
    with pytest.raises(UserError, match=f"{model} contains no model"):
        infer(f"{tmp_path}/a.jsonl", str(model), tmp_path / "out", options=Options(source_field="text"))


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a\n")
    with pytest.raises(UserError, match="contains no exported model"):
        infer(f"{tmp_path}/a.txt", str(tmp_path), tmp_path / "out")


def test_an_endpoint_stands_for_its_live_version(tmp_path: Path, toy_models: SimpleNamespace) -> None:
    endpoint = tmp_path / "demo"
    endpoint.mkdir()
    (endpoint / "endpoint.json").write_text(
        json.dumps({"schema_version": 1, "name": "demo", "host": "127.0.0.1", "port": 1, "traffic": {}})
    )
    with pytest.raises(UserError, match="no version is live at the endpoint"):
        served_model(str(endpoint)).__enter__()
    Endpoint(endpoint).register(toy_models.quiet, "quiet", {})
    settings = json.loads((endpoint / "endpoint.json").read_text())
    (endpoint / "endpoint.json").write_text(json.dumps({**settings, "traffic": {"1": 100}}))
    with served_model(str(endpoint)) as served:
        assert served.model.read_description().fingerprint == "quiet"


def test_a_score_of_nan_stops_the_run(tmp_path: Path, broken_scores: Path) -> None:
    (tmp_path / "a.txt").write_text("a\nbb\n")
    with pytest.raises(UserError, match=r"the model's score for line 1 of .*a\.txt is nan, not a number"):
        infer(f"{tmp_path}/a.txt", str(broken_scores), tmp_path / "out")


@pytest.fixture
def broken_scores(tmp_path: Path, toy_models: SimpleNamespace) -> Path:
    import tensorflow as tf

    class Broken(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="text")])
        def serve(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"text": text, "score": tf.fill(tf.shape(text), float("nan"))}

    broken = Broken()
    tf.saved_model.save(broken, str(tmp_path / "nan"), signatures={"serving_default": broken.serve})
    (tmp_path / "nan" / "model.json").write_bytes((toy_models.loud / "model.json").read_bytes())
    return tmp_path / "nan"


@pytest.mark.e2e
def test_a_killed_run_continues_with_the_remaining_shards(
    toy_models: SimpleNamespace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "in.txt").write_text("".join(f"line {number}\n" for number in range(1000)))
    command = [
        sys.executable, "-m", "seqline.components.infer", f"--data={tmp_path}/in.txt", f"--model={toy_models.loud}",
        f"--predictions={tmp_path}/out", f"--checkpoints={tmp_path}/work", "--shard_lines=2", "--batch_size=1",
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("work/*/shard-*.jsonl")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("work/*/shard-*.jsonl")}
    assert 0 < len(before) < 500
    assert not (tmp_path / "out").exists()
    data, model, options = str(tmp_path / "in.txt"), str(toy_models.loud), Options(shard_lines=2, batch_size=1)
    with caplog.at_level(logging.INFO):
        infer(data, model, tmp_path / "out", checkpoints=str(tmp_path / "work"), options=options)
    assert f"500 shards of 2 lines, {500 - len(before)} remaining" in caplog.text
    rows = list(Predictions(tmp_path / "out").read())
    assert [row["prediction"]["text"] for row in rows] == [f"LINE {number}" for number in range(1000)]
    assert not (tmp_path / "work").exists()


def test_beam_stages_no_file_that_a_worker_would_have_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    def pipeline(options: PipelineOptions) -> None:
        assert options.view_as(DebugOptions).lookup_experiment("disable_logging_submission_environment")
        raise InterruptedError

    monkeypatch.setattr("seqline.components.infer.handler.load", lambda model: None)
    monkeypatch.setattr("apache_beam.Pipeline", pipeline)
    with pytest.raises(InterruptedError):
        stage._run([], 0, "model", "work", "--runner=DataflowRunner --experiments=another", Options())


@pytest.mark.parametrize(("flags", "driver", "expected"), [("", False, 3), ("--runner=Other", False, 1), ("", True, 1)])
def test_batches_run_at_once_on_the_cores_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: str, driver: bool, expected: int
) -> None:
    found = []
    monkeypatch.setattr(stage, "DRIVER", tmp_path if driver else tmp_path / "none")
    monkeypatch.setattr("seqline.batch_threads.batches_at_once", lambda: 3)
    monkeypatch.setattr("seqline.batch_threads.share_cores", lambda: found.append("shared"))
    monkeypatch.setattr("seqline.components.infer.handler.load", lambda model: None)
    monkeypatch.setattr("seqline.components.infer.graph.build", lambda *arguments: found.append(arguments[-1]))
    monkeypatch.setattr("apache_beam.Pipeline", lambda options: nullcontext())
    stage._run([], 0, "model", "work", flags, Options())
    assert found == (["shared", 3] if expected == 3 else [expected])
