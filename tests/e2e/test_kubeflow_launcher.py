"""The compiled pipelines as driver and launcher of Kubeflow Pipelines run them, with their artifacts on S3."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seqline.compiling.compiler import compile_pipeline
from seqline.configuration.model import Configuration
from tests.stand_ins.kfp_launcher import Cluster, Kill, Run
from tests.stand_ins.kfp_launcher.stores import s3_server

pytestmark = pytest.mark.e2e

TRAINING = {
    "corpus": {"vocabulary_size": 320},
    "training": {"preset": "demo", "precision": "float32", "decoded_sample": 0, "batch_tokens": 512, "epochs": 1},
    "decoding": {"beam_size": 1, "max_output_length": 8},
    "gate": [{"metric": "bleu", "minimum": 0.0}],
    "data": "s3://data/pairs.tsv",
    "checkpoints": "s3://runs/checkpoints",
}
CONFIGURATION = Configuration.model_validate({"resources": {"train": {"retries": 1}}})


@pytest.fixture(scope="module")
def cluster(pairs_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A cluster whose default pipeline root is on S3, with the pairs in another bucket."""
    folder = tmp_path_factory.mktemp("cluster")
    with s3_server("runs", "data") as store:
        lines = pairs_file.read_text(encoding="utf-8").splitlines(keepends=True)[:150]
        (folder / "pairs.tsv").write_text("".join(lines), encoding="utf-8")
        store.put("data", "pairs.tsv", folder / "pairs.tsv")
        made = Cluster(folder / "pods", {"s3://": store}, "s3://runs/v2/artifacts", store.variables)
        with made.running():
            yield SimpleNamespace(
                run=made.run, store=store, folder=folder, lines=lines, lists=lambda key="": store.keys("runs", key)
            )


def compiled(name: str, folder: Path) -> Path:
    return compile_pipeline(name, folder / f"{name}.yaml", CONFIGURATION)


def read(cluster: SimpleNamespace, address: str) -> dict[str, Any]:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    cluster.store.get(bucket, key, cluster.folder / "read")
    return dict(json.loads((cluster.folder / "read").read_text()))


def summary(cluster: SimpleNamespace, run: Run) -> dict[str, Any]:
    return read(cluster, f"{run.address('summarize', 'summary')}/summary.json")


CACHABLE = ("tokenize", "train", "export", "evaluate", "evaluate-2", "evaluate-3")
ALWAYS = dict.fromkeys(("snapshot", "champion", "bless", "deploy", "summarize"), "succeeded")


@pytest.mark.timeout(1200)
@pytest.mark.e2e(seconds=100)
def test_training_is_killed_continues_is_cached_and_sees_new_data(cluster: SimpleNamespace, tmp_path: Path) -> None:
    spec = compiled("training", tmp_path)
    first = cluster.run(spec, TRAINING)
    assert first.failed == {}
    assert first.states == {**ALWAYS, **dict.fromkeys(CACHABLE, "succeeded")}
    found = summary(cluster, first)
    assert (found["state"], found["notes"], found["data"]) == ("SUCCEEDED", [], "s3://data/pairs.tsv")
    assert found["decision"]["blessed"] is True

    second = cluster.run(spec, TRAINING)
    assert second.failed == {}
    assert second.states == {**ALWAYS, **dict.fromkeys(CACHABLE, "cached")}
    found = summary(cluster, second)
    assert (found["state"], found["notes"]) == ("SUCCEEDED", [])
