import time
from pathlib import Path

import pytest
from kfp import compiler, dsl
from kfp.dsl import Artifact, Input, Metrics, Output

from seqline.errors import UserError
from seqline.targets.laptop import Home, absolute, absolute_folder, run, with_absolute_paths
from seqline.targets.target import Run


@dsl.component(base_image="anything:1", install_kfp_package=False)
def write(text: str, note: Output[Artifact], metrics: Output[Metrics]) -> bool:
    from pathlib import Path

    metrics.log_metric("letters", len(text))  # metadata only, without a file

    Path(note.path).parent.mkdir(parents=True, exist_ok=True)
    Path(note.path).write_text(text)
    print("wrote", text)
    return bool(text)


@dsl.component(base_image="anything:1", install_kfp_package=False)
def read(note: Input[Artifact], problem: str) -> None:
    from pathlib import Path

    from seqline.errors import UserError

    if problem == "user":
        raise UserError("data.tsv, line 3: one column; give it two")
    if problem == "defect":
        raise ZeroDivisionError("seven by nought")
    print("read", Path(note.path).read_text())


@dsl.component(base_image="anything:1", install_kfp_package=False)
def close() -> None:
    print("closed")


@dsl.component(base_image="anything:1", install_kfp_package=False)
def where() -> None:
    import os
    import wave
    from pathlib import Path

    print(Path.cwd(), "PYTHONPATH" in os.environ, wave.__name__)


@dsl.component(base_image="anything:1", install_kfp_package=False)
def check(problem: str, note: Output[Artifact]) -> None:
    from pathlib import Path

    Path(note.path).parent.mkdir(parents=True, exist_ok=True)
    Path(note.path).write_text(problem)
    note.metadata["problem"] = problem


@dsl.pipeline(name="checking")
def checking(problem: str = "") -> None:
    check(problem=problem)


@dsl.pipeline(name="isolation")
def isolation() -> None:
    where()


@dsl.pipeline(name="single")
def single() -> None:
    write(text="a")


@dsl.pipeline(name="toy")
def toy(text: str = "a", problem: str = "") -> None:
    with dsl.ExitHandler(close().set_caching_options(False)):
        written = write(text=text)
        with dsl.If(written.outputs["Output"] == True):  # noqa: E712 (KFP records the comparison)
            read(note=written.outputs["note"], problem=problem).set_display_name("read it")


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spec") / "toy.yaml"
    compiler.Compiler().compile(toy, str(path))
    return path


# The tests of servers themselves are in test_stage_processes.py.
shared = pytest.mark.usefixtures("shared_stage_servers")


def states(result: Run) -> dict[str, str]:
    return {task.name: task.state for task in result.tasks}


@shared
def test_a_run_reports_every_task_and_writes_its_log(spec: Path, tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []

    def note(result: Run) -> None:
        now = (result.tasks[-1].name, result.tasks[-1].state)
        if now not in seen:
            seen.append(now)

    result = run(spec, {"text": "hello"}, Home(tmp_path), on_change=note)
    assert seen == [
        ("write", "running"),
        ("write", "succeeded"),
        ("read it", "running"),
        ("read it", "succeeded"),
        ("close", "running"),
        ("close", "succeeded"),
    ]
    assert "read hello" in (result.folder / "logs" / "read.log").read_text()
    assert (result.folder / "write" / "note").read_text() == "hello"


@shared
def test_unchanged_tasks_come_from_the_cache_and_changed_ones_run(spec: Path, tmp_path: Path) -> None:
    run(spec, {"text": "one"}, Home(tmp_path))
    again = run(spec, {"text": "one"}, Home(tmp_path))
    assert states(again) == {"write": "cached", "read it": "cached", "close": "succeeded"}
    changed = run(spec, {"text": "two"}, Home(tmp_path))
    assert states(changed) == {"write": "succeeded", "read it": "succeeded", "close": "succeeded"}
    uncached = run(spec, {"text": "one"}, Home(tmp_path), caching=False)
    assert states(uncached)["write"] == "succeeded"


@shared
def test_an_output_with_a_problem_is_not_cached(tmp_path: Path) -> None:
    path = tmp_path / "checking.yaml"
    compiler.Compiler().compile(checking, str(path))
    for problem, again in (("", "cached"), ("it does not load", "succeeded")):
        found = [states(run(path, {"problem": problem}, Home(tmp_path)))["check"] for _ in range(2)]
        assert found == ["succeeded", again]


@shared
def test_a_condition_on_a_task_output_decides_whether_the_branch_runs(spec: Path, tmp_path: Path) -> None:
    assert "read it" not in states(run(spec, {"text": ""}, Home(tmp_path)))


@shared
def test_bad_input_is_one_message_and_the_exit_handler_still_runs(spec: Path, tmp_path: Path) -> None:
    result = run(spec, {"problem": "user"}, Home(tmp_path))
    assert result.error == "data.tsv, line 3: one column; give it two"
    assert states(result) == {"write": "succeeded", "read it": "failed", "close": "succeeded"}


@shared
def test_a_defect_shows_the_end_of_the_log_and_where_it_is(spec: Path, tmp_path: Path) -> None:
    error = run(spec, {"problem": "defect"}, Home(tmp_path)).error
    assert "ZeroDivisionError: seven by nought" in error
    assert str(tmp_path / "runs") in error


@shared
def test_a_failed_task_runs_again_and_the_ones_before_it_do_not(spec: Path, tmp_path: Path) -> None:
    run(spec, {"problem": "user"}, Home(tmp_path))
    assert states(run(spec, {"problem": "user"}, Home(tmp_path)))["write"] == "cached"


def test_an_unknown_parameter_names_the_nearest_one(spec: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no parameter 'txt'; did you mean 'text'"):
        run(spec, {"txt": "x"}, Home(tmp_path))
    assert not (tmp_path / "runs").exists()


@shared
def test_times_are_wall_times(spec: Path, tmp_path: Path) -> None:
    before = time.time()
    result = run(spec, {}, Home(tmp_path))
    assert all(task.started >= before and task.seconds > 0 for task in result.tasks)
    assert sum(task.seconds for task in result.tasks) <= time.time() - before


def test_stages_run_in_the_runs_folder_and_not_on_the_current_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", ".")
    (tmp_path / "wave.py").write_text("raise SystemExit('hostile')")
    compiler.Compiler().compile(isolation, str(tmp_path / "where.yaml"))
    result = run(tmp_path / "where.yaml", {}, Home(tmp_path / "home"))
    assert result.error == ""
    assert f"{result.folder} False wave" in (result.folder / "logs" / "where.log").read_text()


@shared
def test_after_an_edit_of_the_code_nothing_comes_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "seqline"
    package.mkdir()
    (tmp_path / "components").mkdir()
    (package / "components").symlink_to("../components")
    (tmp_path / "components" / "stage.py").write_text("rate = 1")
    monkeypatch.setattr("seqline.__file__", str(package / "__init__.py"))
    compiler.Compiler().compile(single, str(tmp_path / "single.yaml"))

    def state() -> str:
        return states(run(tmp_path / "single.yaml", {}, Home(tmp_path / "home")))["write"]

    assert [state(), state()] == ["succeeded", "cached"]
    (tmp_path / "components" / "stage.py").write_text("rate = 2")
    assert state() == "succeeded"


def test_a_folder_becomes_absolute_and_addresses_and_endpoints_on_vertex_are_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute_folder("a") == str(tmp_path / "a")
    for unchanged in ("gs://bucket/model", "projects/p/locations/l/endpoints/en-de", "/model"):
        assert absolute_folder(unchanged) == unchanged


def test_a_checkpoint_s_folder_becomes_absolute_and_its_address_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = with_absolute_paths({"data": "a.tsv", "training": {"pretrained": "base", "epochs": 1}})
    assert found == {"data": f"{tmp_path}/a.tsv", "training": {"pretrained": f"{tmp_path}/base", "epochs": 1}}
    hub = {"training": {"pretrained": "hf://a/b@main"}}
    assert with_absolute_paths(hub) == hub
    assert with_absolute_paths({"training": {}}) == {"training": {}}


def test_paths_become_absolute_and_addresses_and_queries_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("a.tsv, gs://bucket/b.tsv,/c.tsv") == f"{tmp_path}/a.tsv,gs://bucket/b.tsv,/c.tsv"
    assert absolute("SELECT source, target FROM `a.b.c`") == "SELECT source, target FROM `a.b.c`"
