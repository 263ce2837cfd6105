"""The compiled pipelines as driver and launcher of Kubeflow Pipelines run them, with their artifacts on S3."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seqline.compiling.compiler import compile_pipeline
from seqline.configuration.model import Configuration
from tests.sharing import SMALL_DEMO
from tests.stand_ins.kfp_launcher import Cluster, Kill, Run
from tests.stand_ins.kfp_launcher.stores import s3_server

pytestmark = pytest.mark.e2e

TRAINING = {
    "corpus": {"vocabulary_size": 320},
    "training": {"preset": "demo", "precision": "float32", "decoded_sample": 0, "batch_tokens": 512, "epochs": 2},
    "decoding": {"beam_size": 1, "max_output_length": 8},
    "gate": [{"metric": "bleu", "minimum": 0.0}],
    "data": "s3://data/pairs.tsv",
    "checkpoints": "s3://runs/checkpoints",
}
CONFIGURATION = Configuration.model_validate({"resources": {"train": {"retries": 1}, "tune": {"retries": 1}}})


@pytest.fixture(scope="module")
def cluster(pairs_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A cluster whose default pipeline root is on S3, with the pairs in another bucket."""
    folder = tmp_path_factory.mktemp("cluster")
    with s3_server("runs", "data") as store:
        lines = pairs_file.read_text(encoding="utf-8").splitlines(keepends=True)[:150]
        made = Cluster(folder / "pods", {"s3://": store}, "s3://runs/v2/artifacts", store.variables, [SMALL_DEMO])
        with made.running():
            found = SimpleNamespace(
                run=made.run, store=store, folder=folder, lines=lines, keys=lambda prefix="": store.keys("runs", prefix)
            )
            write(found, "pairs.tsv", "".join(lines))
            yield found


def compiled(name: str, folder: Path) -> Path:
    return compile_pipeline(name, folder / f"{name}.yaml", CONFIGURATION)


def write(cluster: SimpleNamespace, key: str, text: str) -> None:
    cluster.store.client.put_object(Bucket="data", Key=key, Body=text.encode())


def read_text(cluster: SimpleNamespace, key: str) -> str:
    return str(cluster.store.client.get_object(Bucket="runs", Key=key)["Body"].read().decode())


def read(cluster: SimpleNamespace, address: str) -> dict[str, Any]:
    return dict(json.loads(read_text(cluster, address.removeprefix("s3://runs/"))))


def summary(cluster: SimpleNamespace, run: Run) -> dict[str, Any]:
    return read(cluster, f"{run.address('summarize', 'summary')}/summary.json")


CACHABLE = ("tokenize", "train", "export", "evaluate", "evaluate-2", "evaluate-3", "baseline", "evaluate-4")
ALWAYS = dict.fromkeys(("snapshot", "champion", "bless", "deploy", "summarize"), "succeeded")


# Two trainings and two exports of a model: on a busy machine they take minutes each.
@pytest.mark.timeout(1800)
@pytest.mark.e2e(seconds=160)
def test_training_is_killed_and_continues_then_is_cached_then_sees_new_data_then_its_model_predicts(
    cluster: SimpleNamespace, tmp_path: Path
) -> None:
    spec = compiled("training", tmp_path)
    first = cluster.run(spec, TRAINING, [Kill("train", r"os\.rename .*state-00000002", pod=True)])
    assert first.failed == {}
    assert first.states == {**ALWAYS, **dict.fromkeys(CACHABLE, "succeeded")}
    assert first.tasks["train"].attempts == 2
    folder = first.root.removeprefix("s3://runs/")
    (log,) = [key for key in cluster.keys(f"{folder}/train/") if key.endswith("executor-logs-1")]
    assert "continuing at epoch" in read_text(cluster, log)
    assert cluster.keys("checkpoints") == []  # of a run that has ended
    found = summary(cluster, first)
    assert (found["state"], found["notes"], found["data"]) == ("SUCCEEDED", [], "s3://data/pairs.tsv")
    assert found["decision"]["blessed"] is True

    second = cluster.run(spec, TRAINING)
    assert second.failed == {}
    assert second.states == {**ALWAYS, **dict.fromkeys(CACHABLE, "cached")}
    assert second.address("export", "model") == first.address("export", "model")
    found = summary(cluster, second)
    assert (found["state"], found["notes"]) == ("SUCCEEDED", [])

    write(cluster, "pairs.tsv", "".join([*cluster.lines, "red river and river\trot Fluss und Fluss\n"]))
    # A gate that nothing passes: the server leaves the state of such a run open.
    strict = [{"metric": "bleu", "minimum": 99.9}]
    third = cluster.run(spec, {**TRAINING, "gate": strict})
    assert third.failed == {}
    states = {**ALWAYS, **dict.fromkeys(CACHABLE, "succeeded")}
    del states["deploy"]
    assert third.states == states
    assert third.address("export", "model") != first.address("export", "model")
    found = summary(cluster, third)
    assert (found["state"], found["decision"]["blessed"], found["notes"]) == ("SUCCEEDED", False, [])

    write(cluster, "texts.txt", "red house\n\none\n")
    arguments = {
        "data": "s3://data/texts.txt", "model": first.address("export", "model"),
        "inference": {"shard_lines": 2, "max_malformed_share": 0.5}, "checkpoints": "s3://runs/batch",
    }  # fmt: skip
    done = cluster.run(compiled("batch", tmp_path), arguments)
    assert done.failed == {}
    written = done.address("infer", "predictions").removeprefix("s3://runs/")
    rows = [json.loads(line) for line in read_text(cluster, f"{written}/predictions.jsonl").splitlines()]
    assert [row["instance"] for row in rows] == ["red house", "", "one"]
    assert ["error" in row for row in rows] == [False, True, False]
    assert cluster.keys("batch") == []
    assert summary(cluster, done)["state"] == "SUCCEEDED"


@pytest.mark.timeout(1200)
@pytest.mark.e2e(seconds=80)
def test_tuning_whose_pod_is_killed_continues_its_study(cluster: SimpleNamespace, tmp_path: Path) -> None:
    write(cluster, "tuned.tsv", "".join(cluster.lines))
    search = {"trials": 1, "trial_epochs": 1, "space": {"learning_rate": {"min": 1e-5, "max": 1e-2, "scale": "log"}}}
    arguments = {**{name: one for name, one in TRAINING.items() if name != "gate"}, "data": "s3://data/tuned.tsv"}
    arguments["training"] = {**TRAINING["training"], "epochs": 1}
    kill = Kill("tune", r"open .*/\.tuning\..*trials", pod=True)
    done = cluster.run(compiled("tuning", tmp_path), {**arguments, "tuning": search}, [kill])
    assert done.failed == {}
    assert done.tasks["tune"].attempts == 2
    log = next(key for key in cluster.keys("v2/") if "/tune/" in key and key.endswith("executor-logs-1"))
    text = read_text(cluster, log)
    # The trial ended in the pod that was killed.
    assert "INFO]: best is trial 0: " in text
    assert "INFO]: trial 0: " not in text
    assert read(cluster, f"{done.address('evaluate', 'evaluation')}/evaluation.json")["sentences"] > 0
    assert summary(cluster, done)["state"] == "SUCCEEDED"
