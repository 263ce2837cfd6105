"""The corpus's layout as its readers see it."""

import json
from pathlib import Path

import pytest

from seqline.artifacts.corpus import Corpus, Counts, Manifest, Shard
from seqline.errors import UserError


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    counts = Counts(read=5, kept=4, rejected={"empty": 1}, train=2, valid=1, test=1)
    shards = [Shard("train-00000-of-00001.tfrecord", 2, 7, 8), Shard("valid-00000-of-00001.tfrecord", 1, 3, 4)]
    manifest = Manifest("f00d", {"shards": 1}, counts, shards, 300, "en", "de")
    (tmp_path / "manifest.json").write_text(manifest.to_json())
    for shard in shards:
        (tmp_path / shard.file).touch()
    (tmp_path / "test.jsonl").write_text('{"source": "a", "target": "ä"}\n', encoding="utf-8")
    return Corpus(tmp_path)


def test_the_manifest_reads_back_as_written(corpus: Corpus) -> None:
    manifest = corpus.read_manifest()
    assert manifest.counts.rejected == {"empty": 1}
    assert manifest.shards[0].target_tokens == 8
    assert manifest.to_json() == corpus.manifest.read_text()
    assert next(iter(json.loads(manifest.to_json()))) == "schema_version"


def test_shards_and_text_are_found_by_split(corpus: Corpus) -> None:
    assert [path.name for path in corpus.shards("train")] == ["train-00000-of-00001.tfrecord"]
    assert [path.name for path in corpus.shards("valid")] == ["valid-00000-of-00001.tfrecord"]
    assert corpus.read_text("test") == [{"source": "a", "target": "ä"}]


def test_a_missing_part_is_named(corpus: Corpus) -> None:
    with pytest.raises(UserError, match=r"valid.jsonl is missing"):
        corpus.read_text("valid")
    corpus.shards("train")[0].unlink()
    with pytest.raises(UserError, match=r"train-00000-of-00001.tfrecord is missing"):
        corpus.shards("train")
    with pytest.raises(UserError, match=r"manifest.json is missing"):
        Corpus(corpus.path / "elsewhere").read_manifest()


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "no corpus manifest"), ("{}", "no corpus manifest"), ('{"schema_version": 9}', "schema version 9")],
)
def test_a_foreign_manifest_is_refused(text: str, message: str, corpus: Corpus) -> None:
    corpus.manifest.write_text(text)
    with pytest.raises(UserError, match=message):
        corpus.read_manifest()
