import html
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from seqline.artifacts.decision import Decision, Judged, RuleResult, write_decision
from seqline.artifacts.evaluation import Comparison, MetricValue, Sentence
from seqline.artifacts.run_summary import Summary, read_summary
from seqline.components.summary.options import RunStatus
from seqline.components.summary.stage import summarize
from seqline.errors import UserError
from seqline.schema.stage_command import run

RUN = "training-20260101-120000-1"
SAMPLES = [Sentence(f"source {n}", f"Ziel {n}", f"Ausgabe {n}", -0.5) for n in range(5)]
FAILED = RunStatus(state="FAILED", task="exit-handler-1", error="Task exit-handler-1 failed.")
TRACEBACK = """loading
Traceback (most recent call last):
  File "component.py", line 3, in snapshot
seqline.errors.UserError: data names no file: pairs.tsv
Give another path.
"""


def decision(blessed: bool = True, champion: bool = True) -> Decision:
    after = {"bleu": MetricValue(31.2, True, "tok:13a"), "empty_outputs": MetricValue(1.5, False, "percent")}
    before = {"bleu": MetricValue(30.0, True, "tok:13a"), "empty_outputs": MetricValue(0.5, False, "percent")}
    rule = RuleResult("BLEU at least 20", 31.2, 20.0, blessed, "BLEU is 31.20 <b>.")
    return Decision(blessed, "model-1", [rule], after, before if champion else None, SAMPLES)


def put(root: Path, task: str, output: str, file: str, content: object) -> None:
    folder = root / RUN / task / output
    folder.mkdir(parents=True)
    (folder / file).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def complete(root: Path, prefix: str = "") -> None:
    """Writes the artifacts of a run that ended with a live version."""
    put(root, f"{prefix}snapshot", "snapshot", "snapshot.json", {"data": "pairs.tsv", "fingerprint": "f" * 64})
    write_decision(root / RUN / f"{prefix}bless" / "decision", decision())
    smoke = {"text": "hello", "answer": "hallo", "milliseconds": 12}
    deployment = {"endpoint": "demo", "version": 2, "url": "http://127.0.0.1:8501", "live": True, "smoke": smoke}
    put(root, f"{prefix}deploy", "deployment", "deployment.json", deployment)


def sum_up(root: Path, status: RunStatus = RunStatus(), address: str = "") -> tuple[Summary, str]:  # noqa: B008
    own = root / RUN / "summarize"
    found = summarize(address or str(own / "summary"), RUN, "77", own / "summary", own / "report", status)
    assert read_summary(own / "summary") == found
    return found, (own / "report").read_text(encoding="utf-8")


def test_the_summary_of_a_run_that_went_live_is_complete(tmp_path: Path) -> None:
    complete(tmp_path)
    found, html = sum_up(tmp_path)
    assert found.headline() == "The challenger was blessed and is live as version 2."
    assert (found.state, found.failed_task, found.error, found.notes) == ("SUCCEEDED", "", "", [])
    assert (found.data, found.data_fingerprint) == ("pairs.tsv", "f" * 64)
    assert found.metrics["bleu"].value == 31.2
    assert found.champion_metrics is not None
    assert found.samples == SAMPLES
    for shown in ("31.20", "30.00", "+1.20", "Ausgabe 4", "http://127.0.0.1:8501", "hallo", "&lt;b&gt;"):
        assert shown in html
    assert "<b>" not in html


def test_color_and_word_of_a_difference_follow_the_metrics_direction(tmp_path: Path) -> None:
    complete(tmp_path)
    html = sum_up(tmp_path)[1]
    assert '<span class="up">+1.20 better</span>' in html
    assert '<span class="down">+1.00 worse</span>' in html


def test_the_first_tiles_say_metric_with_interval_and_difference_gate_and_live_version(tmp_path: Path) -> None:
    complete(tmp_path)
    made = replace(
        decision(),
        challenger={"chrf": MetricValue(50.0, True, "c"), "bleu": MetricValue(31.2, True, "tok:13a", 30.1, 32.3)},
        comparisons={"bleu": Comparison(1.2, 0.4, 2.0, 0.01, 0.01)},
        judged=Judged("1", "old"),
        task="translation",
    )
    shutil.rmtree(tmp_path / RUN / "bless")
    write_decision(tmp_path / RUN / "bless" / "decision", made)
    tiles = re.search(r'<dl class="tiles">.*?</dl>', sum_up(tmp_path)[1], re.DOTALL)
    assert tiles
    text = " ".join(html.unescape(re.sub("<[^>]*>", " ", tiles[0])).split())
    assert text == (
        "BLEU ↑ 31.20 95% interval 30.10 to 32.30 +1.20 better than the live version (95%: +0.40 to +2.00) "
        "Gate 1 of 1 rules passed ✓ blessed: may go live Live version 2 this run's model"
    )


def test_a_rejected_challenger_leaves_the_live_version_that_it_was_compared_with(tmp_path: Path) -> None:
    complete(tmp_path)
    shutil.rmtree(tmp_path / RUN / "deploy")
    shutil.rmtree(tmp_path / RUN / "bless")
    write_decision(tmp_path / RUN / "bless" / "decision", replace(decision(blessed=False), judged=Judged("7", "old")))
    found, html = sum_up(tmp_path)
    assert found.live_version() == "7"
    for shown in ("0 of 1 rules passed", "✗ not blessed: may not go live", "unchanged by this run"):
        assert shown in html


def test_on_vertex_the_page_links_to_the_run(tmp_path: Path) -> None:
    complete(tmp_path)
    resource = "projects/p/locations/europe-west4/pipelineJobs/run-1"
    assert (
        'href="https://console.cloud.google.com/vertex-ai/locations/europe-west4/pipelines/runs/run-1?project=p"'
        in sum_up(tmp_path, RunStatus(resource=resource))[1]
    )


def on_kubeflow(root: Path) -> Path:
    """A run as Kubeflow's driver names its folders: <root>/<pipeline>/<run's id>/<task>/<id>/<output>."""
    folder = root / "v2/artifacts/seqline-training/77"
    for task in (root / RUN).iterdir():
        for output in task.iterdir():
            shutil.copytree(output, folder / task.name / "0a1b" / output.name)
    return folder


def log(folder: Path, task: str, text: str, attempt: str = "") -> None:
    file = folder / task / "0a1b" / f"executor-logs{attempt}"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_the_layout_of_vertex_is_found_too(tmp_path: Path) -> None:
    complete(tmp_path / "1234", prefix="-8812_")
    found, _ = sum_up(tmp_path / "1234", address=f"{tmp_path}/1234/{RUN}/summarize_-99/summary")
    assert found.decision is not None
    assert found.deployment is not None
    assert found.notes == []


def test_the_layout_of_kubeflow_is_found_too(tmp_path: Path) -> None:
    complete(tmp_path)
    folder = on_kubeflow(tmp_path)
    found, _ = sum_up(tmp_path, RunStatus(state="COMPLETE"), f"{folder}/summarize/7d/summary")
    assert (found.state, found.notes) == ("SUCCEEDED", [])
    assert found.headline() == "The challenger was blessed and is live as version 2."


def test_on_kubeflow_a_failed_task_is_the_one_of_which_there_are_logs_alone(tmp_path: Path) -> None:
    put(tmp_path, "snapshot", "snapshot", "snapshot.json", {"data": "pairs.tsv", "fingerprint": "f" * 64})
    folder = on_kubeflow(tmp_path)
    log(folder, "snapshot", "fine\n", "-0")
    log(folder, "tokenize", "Traceback\nMemoryError\n", "-0")
    log(folder, "tokenize", TRACEBACK, "-10")
    log(folder, "summarize", "running\n", "-0")
    for state in ("FAILED", "RUNNING"):
        found, html = sum_up(tmp_path, RunStatus(state=state, task="exit-handler-1"), f"{folder}/summarize/7d/summary")
        assert (found.state, found.failed_task) == ("FAILED", "tokenize")
        assert found.error == "data names no file: pairs.tsv\nGive another path."
        assert "The run failed in tokenize." in html


@pytest.mark.parametrize(
    ("written", "state"),
    [
        ([], "UNKNOWN"),
        (["evaluation.json"], "SUCCEEDED"),  # of tuning
        (["counts.json"], "SUCCEEDED"),  # of batch
        (["evaluation.json", "opponents.json"], "UNKNOWN"),  # of training, without a decision
        (["evaluation.json", "opponents.json", "decision.json"], "UNKNOWN"),  # blessed, and deploy did not end
        (["evaluation.json", "opponents.json", "decision.json", "deployment.json"], "SUCCEEDED"),
    ],
)
def test_what_the_server_leaves_open_the_files_decide_if_they_can(
    tmp_path: Path, written: list[str], state: str
) -> None:
    put(tmp_path, "snapshot", "snapshot", "snapshot.json", {"data": "pairs.tsv", "fingerprint": "f" * 64})
    for file in written:
        if file == "decision.json":
            write_decision(tmp_path / RUN / "bless" / "decision", decision())
        else:
            put(tmp_path, file.partition(".")[0], "output", file, {})
    found, _ = sum_up(tmp_path, RunStatus(state="RUNNING", task="exit-handler-1"))
    assert (found.state, found.failed_task) == (state, "")
    assert ("did not report" in found.headline()) == (state == "UNKNOWN")


def test_a_run_that_was_not_blessed_has_succeeded_though_the_server_leaves_it_open(tmp_path: Path) -> None:
    write_decision(tmp_path / RUN / "bless" / "decision", decision(blessed=False))
    assert sum_up(tmp_path, RunStatus(state="RUNNING"))[0].state == "SUCCEEDED"


def test_the_layout_of_vertex_is_found_in_a_root_of_the_runs_name(tmp_path: Path) -> None:
    root = tmp_path / RUN / "1234"
    complete(root, prefix="-8812_")
    found, _ = sum_up(root)
    assert found.decision is not None
    assert found.deployment is not None
    assert found.notes == []


def test_other_runs_are_ignored(tmp_path: Path) -> None:
    complete(tmp_path)
    (tmp_path / RUN).rename(tmp_path / "another-run")
    found, _ = sum_up(tmp_path)
    assert found.decision is None


def test_a_bucket_is_read_like_a_folder(tmp_path: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    complete(tmp_path)
    memory.put(str(tmp_path / RUN), f"/bucket/runs/99/{RUN}", recursive=True)
    try:
        address = f"memory://bucket/runs/99/{RUN}/summarize_-99/summary"
        found, _ = sum_up(tmp_path / "elsewhere", address=address)
    finally:
        memory.rm("/bucket", recursive=True)
    assert found.headline() == "The challenger was blessed and is live as version 2."


def test_a_rejected_challenger_is_no_failure(tmp_path: Path) -> None:
    write_decision(tmp_path / RUN / "bless" / "decision", decision(blessed=False, champion=False))
    found, html = sum_up(tmp_path)
    assert found.headline() == ("The challenger was not blessed and not deployed. BLEU is 31.20 <b>.")
    assert "not blessed" in html
    assert "Champion</th>" not in html


def test_nothing_ran_but_a_snapshot_that_failed(tmp_path: Path) -> None:
    (tmp_path / RUN / "logs").mkdir(parents=True)
    (tmp_path / RUN / "logs" / "snapshot.log").write_text(TRACEBACK)
    (tmp_path / RUN / "logs" / "summarize.log").write_text("")
    found, html = sum_up(tmp_path, FAILED)
    assert (found.state, found.failed_task) == ("FAILED", "snapshot")
    assert found.error == "data names no file: pairs.tsv\nGive another path."
    assert found.decision is None
    assert found.deployment is None
    assert found.headline() == "The run failed in snapshot."
    assert "data names no file: pairs.tsv" in html


def test_a_defect_reports_the_end_of_its_log_and_succeeded_tasks_are_not_named(tmp_path: Path) -> None:
    (tmp_path / RUN / "logs").mkdir(parents=True)
    (tmp_path / RUN / "logs" / "snapshot.log").write_text("fine\n")
    (tmp_path / RUN / "snapshot").mkdir()
    (tmp_path / RUN / "snapshot" / "executor_output.json").write_text("{}")
    (tmp_path / RUN / "logs" / "train.log").write_text("".join(f"line {n}\n" for n in range(9)) + "MemoryError\n")
    found, _ = sum_up(tmp_path, FAILED)
    assert found.failed_task == "train"
    assert found.error == "line 5\nline 6\nline 7\nline 8\nMemoryError"


def test_vertex_names_the_failed_tasks_in_its_message(tmp_path: Path) -> None:
    message = (
        "The DAG failed because some tasks failed. The failed tasks are: [train].; Job (project_id = p) is failed."
    )
    found, html = sum_up(tmp_path, RunStatus(state="FAILED", task="exit-handler-1", error=message))
    assert (found.failed_task, found.error) == ("train", message)
    assert "Error in train" in html


def test_a_cancelled_run_and_an_unknown_state_are_reported(tmp_path: Path) -> None:
    assert sum_up(tmp_path, RunStatus(state="CANCELLED"))[0].headline() == "The run was cancelled."
    assert "failed" in sum_up(tmp_path, RunStatus(state="SOMETHING_NEW"))[0].headline()


@pytest.mark.parametrize("file", ["snapshot.json", "decision.json", "deployment.json"])
@pytest.mark.parametrize("content", ["", "[]", "\x00\xff"])
def test_a_file_that_cannot_be_read_is_noted_and_the_rest_reported(tmp_path: Path, file: str, content: str) -> None:
    complete(tmp_path)
    (broken,) = tmp_path.rglob(file)
    broken.write_text(content, encoding="latin-1")
    found, html = sum_up(tmp_path)
    reported = [found.data == "pairs.tsv", found.decision is not None, (found.deployment or {}).get("version") == 2]
    assert reported.count(True) == 2
    assert any(file in note for note in found.notes)
    assert "Problems of this summary" in html


@pytest.mark.parametrize(
    ("file", "noted"), [("snapshot.json", False), ("decision.json", True), ("deployment.json", False)]
)
@pytest.mark.parametrize("content", ["{}", '{"smoke": "text"}'])
def test_a_file_without_its_fields_is_noted_if_they_are_required(
    tmp_path: Path, file: str, noted: bool, content: str
) -> None:
    complete(tmp_path)
    (found_file,) = tmp_path.rglob(file)
    found_file.write_text(content, encoding="utf-8")
    found, html = sum_up(tmp_path)
    reported = [found.data == "pairs.tsv", found.decision is not None, (found.deployment or {}).get("version") == 2]
    assert reported.count(True) == 2
    assert any(file in note for note in found.notes) == noted
    assert ("Problems of this summary" in html) == noted


@pytest.mark.parametrize(
    ("address", "names"), [(f"unknown://x/{RUN}/s/summary", (RUN, "")), ("/nowhere", (RUN, "")), ("/tmp/a/b", ("", ""))]
)
def test_a_folder_of_the_run_that_cannot_be_found_is_noted(
    tmp_path: Path, address: str, names: tuple[str, str]
) -> None:
    own = tmp_path / "summarize"
    found = summarize(address, *names, own / "summary", own / "report", FAILED)
    assert found.notes
    assert found.error == FAILED.error
    assert (own / "report").is_file()


def test_a_blessed_model_that_was_not_deployed_is_reported(tmp_path: Path) -> None:
    write_decision(tmp_path / RUN / "bless" / "decision", decision())
    assert sum_up(tmp_path)[0].headline() == "The challenger was blessed and not deployed."
    put(tmp_path, "deploy", "deployment", "deployment.json", {"endpoint": "", "live": False, "smoke": None})
    found, html = sum_up(tmp_path)
    assert found.headline() == "The challenger was blessed and not deployed."
    assert "Deployment" not in html


def test_a_folder_without_a_summary_is_a_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"summary\.json is missing"):
        read_summary(tmp_path)
    (tmp_path / "summary.json").write_text('{"schema_version": 1}')
    with pytest.raises(UserError, match=r"summary\.json cannot be read \(run: field required\); run the pipeline"):
        read_summary(tmp_path)


def test_it_runs_alone(tmp_path: Path) -> None:
    complete(tmp_path)
    own = ["--address", str(tmp_path / RUN / "summarize" / "summary"), "--run_name", RUN, "--run_id", "77"]
    flags = [*own, "--state", "FAILED", "--error", "out of memory"]
    assert run(summarize, [*flags, "--summary", str(tmp_path / "out"), "--report", str(tmp_path / "out.html")]) == 0
    assert read_summary(tmp_path / "out").error == "out of memory"
