from pathlib import Path

import pytest
from kfp import compiler, dsl

from seqline.artifacts.run_summary import read_summary
from seqline.components.snapshot.component import snapshot
from seqline.components.summary.component import summarize
from seqline.targets.laptop import Home, run
from tests.stand_ins.webhook import Receiver


@dsl.pipeline(name="only-a-snapshot")
def only_a_snapshot(data: str):
    ending = summarize(
        run_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER,
        run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        notification={"webhooks": ["env:SEQLINE_TEST_HOOK"]},
    )
    with dsl.ExitHandler(ending):
        snapshot(data=data)


def test_an_exit_handler_run_by_kfp_reports_which_task_failed_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tmp_path / "spec.yaml"
    compiler.Compiler().compile(only_a_snapshot, str(spec))
    with Receiver.running("secret") as receiver:
        monkeypatch.setenv("SEQLINE_TEST_HOOK", receiver.url)
        result = run(spec, {"data": "missing.tsv"}, Home(tmp_path))
    assert [(task.name, task.state) for task in result.tasks] == [("snapshot", "failed"), ("summarize", "succeeded")]
    found = read_summary(result.folder / "summarize" / "summary")
    assert (found.run, found.state, found.failed_task) == (result.folder.name, "FAILED", "snapshot")
    assert "missing.tsv" in found.error
    assert "Traceback" not in found.error
    assert (result.folder / "summarize" / "report").is_file()
    ((path, _, body),) = receiver.received
    assert path == "/services/secret"
    assert (body["headline"], body["page"], body["summary"]["run"]) == ("The run failed in snapshot.", "", found.run)
