"""The stand-in itself: each rule of driver and launcher refuses what they refuse."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kfp import compiler, dsl
from kfp.dsl import Artifact, Input, Metrics, Output, PipelineTaskFinalStatus

from tests.stand_ins.kfp_launcher import Cluster, Kill
from tests.stand_ins.kfp_launcher.buckets import BucketConfig, LauncherError
from tests.stand_ins.kfp_launcher.stores import GCS, S3

pytestmark = pytest.mark.e2e


def component(function: Callable[..., Any]) -> Any:
    return dsl.component(base_image="python:3.11", install_kfp_package=False)(function)


@component
def write(made: Output[Artifact], numbers: Output[Metrics], mode: str = "") -> NamedTuple(
    "Outputs", count=int, root=str
):  # type: ignore[valid-type]
    from pathlib import Path

    folder = Path(made.path)
    (folder / "deep").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "deep" / "script").write_text("one")
    (folder / "deep" / "script").chmod(0o755)
    (folder / "link").symlink_to(folder / "deep" / "script")
    numbers.metadata.update(fine=True, listed=[1], word="w")
    if mode == "elsewhere":
        made.uri = "s3://bucket/elsewhere"
    elif mode == "resource":
        made.uri = "https://example.org/v1/models/7"
    elif mode == "link":
        (folder / "folder").symlink_to(folder / "deep")
    elif mode == "null":
        numbers.metadata["none"] = None
    elif mode == "nan":
        numbers.metadata["nan"] = float("nan")
    elif mode == "error":
        raise ValueError("for a reason")
    first = not Path("attempted").exists()
    Path("attempted").touch()
    print("first attempt" if first else "second attempt", sorted(path.name for path in Path().iterdir()))
    return 2**53 + 1, made.uri  # type: ignore[return-value]


@component
def look(made: Input[Artifact], numbers: Input[Metrics], count: int, root: str, job: str, own: str) -> dict:
    import json
    from pathlib import Path

    top = Path(made.path)
    files = {str(path.relative_to(top)): oct(path.stat().st_mode & 0o777) for path in top.rglob("*")}
    roots = sorted(str(path) for path in Path().rglob("*") if path.name == "made")
    linked = any(path.is_symlink() for path in top.rglob("*"))
    shown = {"files": files, "linked": linked, "count": count, "root": root, "job": job, "own": own, "made": roots}
    return json.loads(json.dumps({**shown, "metadata": numbers.metadata}))


@component
def end(status: PipelineTaskFinalStatus, job: str) -> str:
    return f"{status.state} {status.pipeline_task_name} {status.error_message} {job}"


@dsl.pipeline(name="looking")
def looking(mode: str = "", note: str = "") -> None:
    ended = end(job=dsl.PIPELINE_JOB_NAME_PLACEHOLDER).set_caching_options(False)
    with dsl.ExitHandler(ended, name="work"):
        written = write(mode=mode).set_retry(1)
        seen = look(
            made=written.outputs["made"],
            numbers=written.outputs["numbers"],
            count=written.outputs["count"],
            root=dsl.PIPELINE_ROOT_PLACEHOLDER,
            job=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
            own=written.outputs["root"],
        )
        with dsl.If(written.outputs["root"] == "nothing", name="never"):
            write().after(seen)


@dsl.pipeline(name="uncached")
def uncached(mode: str = "") -> None:
    written = write(mode=mode).set_caching_options(False)
    look(
        made=written.outputs["made"], numbers=written.outputs["numbers"], count=1, root="", job="", own=""
    )  # fmt: skip


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("specs")
    found = {}
    for name, pipeline in (("looking", looking), ("uncached", uncached)):
        found[name] = folder / f"{name}.yaml"
        compiler.Compiler().compile(pipeline, str(found[name]))
    return found


@pytest.fixture(scope="module")
def cluster(s3_store: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    s3_store.client.create_bucket(Bucket="bucket")
    made = Cluster(tmp_path_factory.mktemp("pods"), {"s3://": s3_store}, "s3://bucket/root", {"FROM_A_SECRET": "x"})
    with made.running():
        yield made


def test_a_task_sees_copies_of_its_inputs_and_what_the_driver_resolves(
    cluster: Cluster, specs: dict[str, Path], s3_store: S3
) -> None:
    first = cluster.run(specs["looking"], {})
    assert first.failed == {}
    assert first.states == {"write": "succeeded", "look": "succeeded", "end": "succeeded"}
    found = first.parameter("look", "Output")
    # No modes, no empty folder; a link is a copy.
    assert {name: mode for name, mode in found["files"].items() if name != "deep"} == {
        "deep/script": "0o644",
        "link": "0o644",
    }
    assert found["linked"] is False
    assert found["count"] == 2**53  # a double
    assert found["root"] == "{{$.pipeline_root}}"
    assert found["job"] == first.id
    assert found["own"].startswith(f"s3://bucket/root/looking/{first.id}/write/")
    assert len(found["made"]) == 1
    metadata = {name: found["metadata"][name] for name in ("fine", "listed", "word")}
    assert metadata == {"fine": 1, "listed": {"list": [1]}, "word": "w"}
    # The last launcher ran before the driver of the condition, which nothing counts.
    assert first.parameter("end", "Output") == "RUNNING exit-handler-1 None looking of a test"

    second = cluster.run(specs["looking"], {})
    assert second.states == {"write": "cached", "look": "succeeded", "end": "succeeded"}  # the job is another
    assert second.address("write", "made") == first.address("write", "made")


def test_a_loop_has_an_iteration_for_each_item_and_its_outputs_are_collected(cluster: Cluster, tmp_path: Path) -> None:
    @component
    def double(text: str) -> str:
        return text * 2

    @component
    def join(texts: list) -> str:
        return " ".join(texts)

    @dsl.pipeline(name="loop")
    def pipeline(items: list = ["a", "b"]) -> None:  # noqa: B006
        with dsl.ParallelFor(items) as item:
            first = double(text=item)
            second = double(text=first.output)
        join(texts=dsl.Collected(second.output))

    spec = tmp_path / "loop.yaml"
    compiler.Compiler().compile(pipeline, str(spec))
    run = cluster.run(spec, {})
    assert run.failed == {}
    assert run.parameter("join", "Output") == "aaaa bbbb"


def test_what_an_uncached_task_writes_is_a_new_input(cluster: Cluster, specs: dict[str, Path]) -> None:
    assert cluster.run(specs["uncached"], {}).states == {"write": "succeeded", "look": "succeeded"}
    assert cluster.run(specs["uncached"], {}).states == {"write": "succeeded", "look": "succeeded"}


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("elsewhere", "does not have expected bucket prefix"),
        ("link", "it is a directory"),
        ("null", "unknown/unsupported value type"),
        ("nan", "invalid value NaN"),
        ("error", "ValueError: for a reason"),
    ],
)
def test_what_the_launcher_refuses_fails_the_task_and_the_exit_task_runs(
    cluster: Cluster, specs: dict[str, Path], mode: str, message: str
) -> None:
    run = cluster.run(specs["looking"], {"mode": mode})
    assert run.states == {"write": "failed", "end": "succeeded"}
    assert message in run.failed["write"]
    assert run.tasks["write"].attempts == 2
    assert run.parameter("end", "Output").startswith("FAILED exit-handler-1 None ")


def test_an_artifact_that_stands_for_a_resource_elsewhere_is_not_uploaded(
    cluster: Cluster, specs: dict[str, Path]
) -> None:
    run = cluster.run(specs["looking"], {"mode": "resource"})
    assert run.failed == {}
    assert run.address("write", "made") == "https://example.org/v1/models/7"
    assert run.parameter("look", "Output")["files"] == {}


@pytest.mark.parametrize("pod", [False, True])
def test_another_attempt_has_nothing_of_the_one_that_was_killed(
    cluster: Cluster, specs: dict[str, Path], s3_store: S3, pod: bool
) -> None:
    run = cluster.run(
        specs["looking"], {"note": str(pod), "mode": str(pod)}, [Kill("write", "open attempted", pod=pod)]
    )
    assert run.failed == {}
    assert run.tasks["write"].attempts == 2
    logs = [key for key in s3_store.keys("bucket", f"root/looking/{run.id}/write/") if key.endswith("executor-logs-1")]
    body = s3_store.client.get_object(Bucket="bucket", Key=logs[0])["Body"].read().decode()
    assert "first attempt ['attempted', 's3', 'tmp']" in body


def test_long_parameters_are_refused(cluster: Cluster, specs: dict[str, Path]) -> None:
    with pytest.raises(LauncherError, match="exceed maximum size of 10000"):
        cluster.run(specs["looking"], {"note": "x" * 10_000})


def test_cloud_storage_is_the_same(cloud_storage: Any, specs: dict[str, Path], tmp_path: Path) -> None:
    cloud_storage.mkdir("bucket")
    cluster = Cluster(tmp_path / "pods", {"gs://": GCS(cloud_storage)}, "gs://bucket")
    with cluster.running():
        run = cluster.run(specs["looking"], {})
    assert run.failed == {}
    assert sorted(run.parameter("look", "Output")["files"]) == ["deep", "deep/script", "link"]


@pytest.mark.parametrize(
    ("root", "uri", "key"),
    [
        ("s3://b", "s3://b/x/y", "x/y"),
        ("s3://b/", "s3://b/x/y", "x/y"),
        ("s3://b/p", "s3://b/p/x", "x"),
        ("minio://b/p?region=x", "minio://b/p/x", "x"),
        ("s3://b/p", "s3://b/q/x", None),
        ("s3://b/p", "gs://b/p/x", None),
        ("s3://b/p", "s3://b/p", None),
    ],
)
def test_an_address_has_a_key_only_below_its_root(root: str, uri: str, key: str | None) -> None:
    config = BucketConfig.of_root(root)
    if key is not None:
        assert config.key_of(uri) == key
        return
    with pytest.raises(LauncherError):
        config.key_of(uri)


@pytest.mark.parametrize("root", ["/local/folder", "file:///x", "https://b/x", "S3://b/x", "s3://"])
def test_another_kind_of_root_is_refused(root: str) -> None:
    with pytest.raises(LauncherError, match="parse bucket config failed"):
        BucketConfig.of_root(root)


def test_the_executor_input_is_one_word_of_limited_length(cluster: Cluster, tmp_path: Path) -> None:
    @component
    def long() -> str:
        return "x" * 140_000

    @component
    def takes(text: str) -> None:
        pass

    @dsl.pipeline(name="long")
    def pipeline() -> None:
        takes(text=long().output)

    spec = tmp_path / "long.yaml"
    compiler.Compiler().compile(pipeline, str(spec))
    run = cluster.run(spec, {})
    assert "argument list too long" in run.failed["takes"]
    assert json.dumps(run.states) == '{"long": "succeeded", "takes": "failed"}'
