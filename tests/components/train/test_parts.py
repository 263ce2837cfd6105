"""The parts of a batch that are computed at the same time."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.corpus import Corpus, Counts, Manifest, Shard
from seqline.components.train import parts
from seqline.components.train.options import Options
from seqline.modeling.config import Preset, TransformerConfig

CLUSTER = {"cluster": {"chief": ["localhost:1"], "worker": ["localhost:2"]}, "task": {"type": "chief", "index": 0}}


@pytest.fixture
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(request.param)))


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    found: list[int] = []
    monkeypatch.setattr(parts, "share_cores", found.append)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    return found


@pytest.mark.parametrize(
    ("cores", "preset", "compiled", "expected"),
    [
        (1, "tiny", False, 1),
        (2, "tiny", False, 2),
        (16, "demo", False, 2),
        (2, "small", False, 1),
        (2, "tiny", True, 1),
    ],
    indirect=["cores"],
)
def test_only_a_narrow_model_computes_its_batches_in_parts(
    cores: None, preset: Preset, compiled: bool, expected: int
) -> None:
    assert parts.batch_parts(TransformerConfig.preset(preset, vocabulary_size=9), 1, compiled) == expected


@pytest.mark.parametrize("cores", [2], indirect=True)
def test_replicas_have_whole_batches(cores: None) -> None:
    assert parts.batch_parts(TransformerConfig.preset("tiny", vocabulary_size=9), 2, False) == 1


@pytest.mark.parametrize("cores", [2], indirect=True)
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"preset": "tiny"}, [2]),
        ({"preset": "tiny", "devices": "one"}, [2]),
        ({"preset": "small"}, []),
        ({"pretrained": "folder"}, []),
        ({"preset": "tiny", "devices": "mirrored"}, []),
        ({"preset": "tiny", "xla": "on"}, []),
    ],
)
def test_parts_of_a_narrow_model_share_the_cores(
    cores: None, shared: list[int], options: dict[str, Any], expected: list[int]
) -> None:
    parts.share_cores_among_parts(Options(**options), Corpus(Path("missing")))
    assert shared == expected


@pytest.mark.parametrize("cores", [2], indirect=True)
@pytest.mark.parametrize(
    ("pairs", "minutes", "expected"),
    [
        (29_000, 0, [2]),  # too few pairs for a wide model
        (29_000, 600, [2]),
        (1_000_000, 10, [2]),  # too little time, on any machine
        (1_000_000, 600, []),  # a fast machine may train a wide model
    ],
)
def test_parts_share_the_cores_if_the_model_that_is_selected_must_be_narrow(
    cores: None, shared: list[int], tmp_path: Path, pairs: int, minutes: float, expected: list[int]
) -> None:
    shard = Shard("train-00000-of-00001.ids", pairs, 14 * pairs, 15 * pairs)
    counts = Counts(pairs, pairs, {}, pairs, 0, 0)
    Manifest("", {"task": "translation"}, counts, [shard], 8000, "en", "de").write(Corpus(tmp_path).manifest)
    parts.share_cores_among_parts(Options(minutes=minutes), Corpus(tmp_path))
    assert shared == expected


@pytest.mark.parametrize("cores", [2], indirect=True)
def test_parts_share_the_cores_if_the_model_to_start_from_is_narrow(
    cores: None, shared: list[int], checkpoint: Path, tmp_path: Path
) -> None:
    parts.share_cores_among_parts(Options(), Corpus(Path("missing")), checkpoint)
    assert shared == [2]
    config = Checkpoint(checkpoint).read_config()
    wide = Checkpoint(shutil.copytree(checkpoint, tmp_path / "wide"))
    replace(config, model={**config.model, "hidden_dim": 2 * parts.NARROW}).write(wide.config)
    parts.share_cores_among_parts(Options(), Corpus(Path("missing")), wide.path)
    assert shared == [2]


@pytest.mark.parametrize("cores", [2], indirect=True)
def test_a_worker_uses_all_its_cores_for_each_operation(
    cores: None, shared: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", json.dumps(CLUSTER))
    parts.share_cores_among_parts(Options(preset="tiny"), Corpus(Path("missing")))
    assert shared == []


@pytest.mark.parametrize(
    ("cores", "threads", "expected"), [(4, 0, 1), (4, 4, 1), (4, 2, 2), (3, 2, 1)], indirect=["cores"]
)
def test_the_peak_is_that_of_as_many_products_as_have_cores(
    cores: None, threads: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: threads)
    assert parts.products_at_once() == expected
