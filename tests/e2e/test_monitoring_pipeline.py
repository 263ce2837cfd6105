"""Monitoring on a laptop, as a user runs it: drift in sampled requests becomes a retraining, which runs and ends."""

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from seqline.artifacts.request_log import write_requests
from seqline.artifacts.retraining import Attempt
from seqline.cli import main
from seqline.components.retrain.laptop import Laptop
from tests.monitored import endpoint, reference, row, texts
from tests.servers import until

# In place of training, which takes minutes: the first task of the pipeline, and the last one.
LIGHT = '''
"""A training pipeline that trains nothing."""

from kfp import dsl

from seqline.components.snapshot.component import snapshot
from seqline.components.summary.component import summarize


@dsl.pipeline(name="seqline-training")
def light(data: str = "", endpoint: str = "", reason: str = ""):
    """Lists the data."""
    name, id_ = dsl.PIPELINE_JOB_NAME_PLACEHOLDER, dsl.PIPELINE_JOB_ID_PLACEHOLDER
    with dsl.ExitHandler(summarize(run_name=name, run_id=id_, reason=reason)):
        snapshot(data=data)
'''
REASON = "proven to be above 0.2. Unusual texts: the increase from training is 0.9"


@pytest.mark.e2e(seconds=40)
@pytest.mark.usefixtures("shared_stage_servers")
def test_drift_leads_to_a_run_of_the_training_pipeline_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    live = endpoint(tmp_path / ".seqline" / "endpoints", reference())
    time = datetime.now(timezone.utc) - timedelta(hours=3)
    write_requests(live / "samples", [row(ids, time, number) for number, ids in enumerate(texts(300, 1, first=200))])
    Path("light.py").write_text(LIGHT, encoding="utf-8")
    Path("pairs.tsv").write_text("a\tb\n" * 4200, encoding="utf-8")
    assert main(["compile", "--pipeline", "light.py", "--output", "light.yaml"]) == 0
    retraining = {"template": str(tmp_path / "light.yaml"), "parameters": {"data": str(tmp_path / "pairs.tsv")}}
    flags = ["--set", f"endpoint={live}", "--set", f"retraining={json.dumps(retraining)}"]
    assert main(["run", "--pipeline", "monitoring", *flags]) == 0

    home = tmp_path / ".seqline"
    (found,) = (live / "samples" / "monitoring" / "retrainings").glob("*.json")
    attempt = Attempt.read(found)
    assert attempt.started
    until(lambda: not Laptop(home).runs(attempt), seconds=600)
    capsys.readouterr()
    assert main(["runs", "list", "--json"]) == 0
    runs = {one["pipeline"]: one for one in json.loads(capsys.readouterr().out)}
    assert {name: one["state"] for name, one in runs.items()} == {
        "seqline-monitoring": "succeeded",
        "seqline-training": "succeeded",
    }, (home / "retrainings" / f"{attempt.run}.log").read_text()
    assert main(["runs", "describe", runs["seqline-training"]["id"], "--json"]) == 0
    started = json.loads(capsys.readouterr().out)
    assert REASON in attempt.reason
    assert started["parameters"] == {
        "data": str(tmp_path / "pairs.tsv"),
        "endpoint": str(live),
        "reason": attempt.reason,
    }
    folder = home / "runs" / started["id"]
    for page in ("report.html", "reports/summarize.html"):
        assert REASON in (folder / page).read_text(encoding="utf-8"), page
    # The report of monitoring says which run it started.
    monitored = home / "runs" / runs["seqline-monitoring"]["id"] / "reports" / "summarize.html"
    log = home / "retrainings" / f"{attempt.run}.log"
    assert f"The run {attempt.run} was started; its output is in {log}." in monitored.read_text(encoding="utf-8")
