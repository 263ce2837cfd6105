"""Targets: opened by name, and the interface of the laptop."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from kfp import compiler, dsl

import seqline.targets
from seqline.configuration import load
from seqline.errors import UserError
from seqline.targets import open_target
from seqline.targets.target import Run, Schedule, Target, UnsupportedError


@dsl.component(base_image="anything:1", install_kfp_package=False)
def say(text: str) -> None:
    from seqline.errors import UserError

    print("said", text)
    if text == "bad":
        raise UserError("text is bad; give another")


@dsl.pipeline(name="toy")
def toy(text: str = "a") -> None:
    say(text=text)


@pytest.fixture
def laptop(tmp_path: Path) -> Target:
    return open_target("laptop", load([], [f"targets.laptop.home={tmp_path / 'home'}"]).configuration)


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "toy.yaml"
    compiler.Compiler().compile(toy, str(path))
    return str(path)


def test_an_unknown_target_names_the_nearest() -> None:
    with pytest.raises(UserError, match="there is no target 'vertx'; did you mean 'vertex'"):
        open_target("vertx", load().configuration)


def test_a_target_that_the_configuration_does_not_describe_is_refused() -> None:
    with pytest.raises(UserError, match=r"the configuration has no targets\.vertex"):
        open_target("vertex", load().configuration)


def test_a_target_whose_libraries_are_missing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(seqline.targets.TARGETS, "laptop", ("no_such_library", "Laptop"))
    with pytest.raises(UserError, match=r"the target laptop is not installed here .*no_such_library"):
        open_target("laptop", load().configuration)


def test_runs_are_listed_described_and_read_by_another_process(laptop: Target, spec: str) -> None:
    seen: list[Run] = []
    done = laptop.run(spec, {"text": "one"}, on_change=seen.append)
    failed = laptop.run(spec, {"text": "bad"})
    assert seen[-1].state == done.state == "succeeded"
    assert [(run.id, run.state) for run in laptop.runs()] == [(failed.id, "failed"), (done.id, "succeeded")]
    assert laptop.runs(pipeline="other") == []
    assert laptop.describe("latest").tasks[0].error == "text is bad; give another"
    assert laptop.describe(done.id).parameters == {"text": "one"}
    assert "said one" in list(laptop.logs(done.id, "say"))
    assert "say: said one" in list(laptop.logs(done.id))
    assert laptop.watch(done.id, seen.append).state == "succeeded"
    assert laptop.cancel(done.id).state == "succeeded"


def test_a_missing_run_or_task_is_an_error_with_the_nearest_name(laptop: Target, spec: str) -> None:
    done = laptop.run(spec, {})
    with pytest.raises(UserError, match="there is no run 'toy-0'"):
        laptop.describe("toy-0")
    with pytest.raises(UserError, match="has no task 'sya'; did you mean 'say'"):
        list(laptop.logs(done.id, "sya"))


def test_a_run_whose_process_was_killed_has_failed(laptop: Target, spec: str) -> None:
    done = laptop.run(spec, {})
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    record = done.folder / "run.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "state": "running", "process": gone.pid}))
    found = laptop.describe(done.id)
    assert (found.state, found.ended) == ("failed", True)
    assert "its process has ended" in found.error


def test_another_process_with_the_number_of_a_run_s_is_not_its_process(laptop: Target, spec: str) -> None:
    done = laptop.run(spec, {})
    with subprocess.Popen(["sleep", "600"]) as other:
        record = done.folder / "run.json"
        record.write_text(json.dumps({**json.loads(record.read_text()), "state": "running", "process": other.pid}))
        try:
            assert laptop.describe(done.id).state == "failed"
            assert laptop.cancel(done.id).state == "failed"
            assert other.poll() is None
        finally:
            other.kill()


def test_a_run_of_an_earlier_version_is_read(laptop: Target, spec: str) -> None:
    done = laptop.run(spec, {})
    record = done.folder / "run.json"
    content = json.loads(record.read_text())
    content["tasks"] = [{**task, "figure": task.pop("metric")} for task in content["tasks"]]
    record.write_text(json.dumps({**content, "schema_version": 1, "place": content.pop("root")}))
    assert laptop.describe(done.id) == Run(**{**vars(done), "tasks": laptop.describe(done.id).tasks})
    assert laptop.describe(done.id).folder == done.folder


def test_what_a_laptop_does_not_support_is_an_error_with_the_alternative(laptop: Target, spec: str) -> None:
    assert laptop.schedules() == []
    with pytest.raises(UnsupportedError, match="run --from-template"):
        laptop.upload(Path(spec))
    with pytest.raises(UnsupportedError, match="cron can start"):
        laptop.save_schedule(Schedule("nightly", "0 3 * * *"))
