"""The corpus's layout as its readers see it."""

import json
from pathlib import Path

import pytest

from seqline.artifacts.corpus import Corpus, Counts, Manifest, Shard, id_type
from seqline.errors import UserError


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    counts = Counts(read=5, kept=4, rejected={"empty": 1}, train=2, valid=1, test=1)
    shards = [Shard("train-00000-of-00001.ids", 2, 7, 8), Shard("valid-00000-of-00001.ids", 1, 3, 4)]
    Manifest("f00d", {"shards": 1}, counts, shards, 300, "en", "de", "uint16").write(tmp_path / "manifest.json")
    for shard in shards:
        (tmp_path / shard.file).touch()
        (tmp_path / shard.lengths_file).touch()
    (tmp_path / "test.jsonl").write_text('{"source": "a", "target": "ä"}\n', encoding="utf-8")
    return Corpus(tmp_path)


def test_the_manifest_reads_back_as_written(corpus: Corpus) -> None:
    manifest = corpus.read_manifest()
    assert manifest.counts.rejected == {"empty": 1}
    assert manifest.shards[0].target_tokens == 8
    assert manifest.to_json() == corpus.manifest.read_text()
    assert next(iter(json.loads(manifest.to_json()))) == "schema_version"


def test_a_manifest_of_an_earlier_release_is_read_and_its_pairs_are_refused(corpus: Corpus) -> None:
    # As release a643b4f wrote it; without "augmented" and "longest", as the first of schema version 2.
    corpus.manifest.write_text(
        '{\n  "schema_version": 2,\n  "fingerprint": "f00d",\n  "options": {"rules": {"identical": false}},'
        '\n  "counts": {"read": 5, "kept": 4, "rejected": {"empty": 1}, "train": 2, "valid": 1, "test": 1},\n'
        '  "shards": [{"file": "train-00000-of-00001.tfrecord", "records": 2, "source_tokens": 7, "target_tokens": 8}],'
        '\n  "vocabulary_size": 300,\n  "source_language": "en",\n  "target_language": "de"\n}\n'
    )
    manifest = corpus.read_manifest()
    assert manifest.options == {"rules": {"identical": False}}
    assert manifest.counts == Counts(5, 4, {"empty": 1}, 2, 1, 1, {})
    assert manifest.shards == [Shard("train-00000-of-00001.tfrecord", 2, 7, 8, 0)]
    assert corpus.read_text("test") == [{"source": "a", "target": "ä"}]
    with pytest.raises(UserError, match="of an older Seqline: its pairs are TFRecords, which training no longer"):
        corpus.shards("train")


def test_shards_and_text_are_found_by_split(corpus: Corpus) -> None:
    assert [shard.file for shard in corpus.shards("train")] == ["train-00000-of-00001.ids"]
    assert [shard.lengths_file for shard in corpus.shards("valid")] == ["valid-00000-of-00001.lengths"]
    assert corpus.read_text("test") == [{"source": "a", "target": "ä"}]


def test_a_missing_file_is_reported_by_name(corpus: Corpus) -> None:
    with pytest.raises(UserError, match=r"valid.jsonl is missing"):
        corpus.read_text("valid")
    for name in ("train-00000-of-00001.lengths", "train-00000-of-00001.ids"):
        (corpus.path / name).unlink()
        with pytest.raises(UserError, match=f"{name} is missing"):
            corpus.shards("train")
    with pytest.raises(UserError, match=r"manifest.json is missing; tokenize again"):
        Corpus(corpus.path / "elsewhere").read_manifest()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not a JSON object; tokenize again"),
        ("{}", r"has schema version 1, and this Seqline reads 2 to 4; tokenize again"),
        ('{"schema_version": 9}', "schema version 9, and this Seqline reads 2 to 4; tokenize again"),
        ('{"schema_version": 2}', r"cannot be read \(fingerprint: field required\); tokenize again"),
    ],
)
def test_an_unreadable_manifest_is_refused(text: str, message: str, corpus: Corpus) -> None:
    corpus.manifest.write_text(text)
    with pytest.raises(UserError, match=rf"manifest.json .*{message}"):
        corpus.read_manifest()


def test_ids_take_as_few_bytes_as_the_vocabulary_allows() -> None:
    assert [id_type(size) for size in (300, 1 << 16, (1 << 16) + 1)] == ["uint16", "uint16", "uint32"]
