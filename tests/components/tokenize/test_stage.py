"""The whole stage: from files to a corpus folder and a page."""

import gzip
import json
import logging
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from seqline import progress
from seqline.artifacts.corpus import Corpus, Manifest, Split
from seqline.artifacts.reference import SOURCES, TOKEN_BUCKETS, Sources
from seqline.components.tokenize.options import Options
from seqline.components.tokenize.stage import tokenize
from seqline.errors import UserError
from seqline.inputs.fingerprint import describe_all, fingerprint_of
from tests.components.tokenize.ids import read_ids

SPLITS: tuple[Split, ...] = ("train", "valid")
OPTIONS = Options(
    valid_share=0.1, test_share=0.1, vocabulary_size=400, shards=2, rules={"length_ratio": 4}, max_tokens=40
)


def rows(count: int, first: int = 0) -> list[str]:
    return [
        f"number {number} of {number % 7} cats\tZahl {number} von {number % 7} Katzen"
        for number in range(first, first + count)
    ]


def run(folder: Path, lines: list[str], options: Options = OPTIONS, name: str = "data.tsv", **more: str) -> Manifest:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tokenize(str(folder / name), folder / "corpus", folder / "report.html", options=options, **more)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "corpus").iterdir()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    odd = [
        "one\t ",
        rows(1)[0],
        "x\t" + "immer weiter und hier noch vieles andere mehr",
        "lang " * 60 + "\t" + "lange " * 60,
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress, "FILE_SECONDS", 0.0)
        patch.setenv(progress.VARIABLE, str(folder / "progress"))
        run(folder, [*rows(100), *odd])
    return folder


def test_the_stage_says_how_far_it_is(made: Path) -> None:
    assert str(progress.newest(made / "progress")).startswith("encoding 102 of 102 pairs")


def test_a_vocabulary_size_of_auto_is_chosen_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        manifest = run(tmp_path, rows(100), OPTIONS.with_values(vocabulary_size="auto"))
    assert manifest.options["vocabulary_size"] == "auto"
    assert 256 < manifest.vocabulary_size <= 1000
    (line,) = (line for line in caplog.messages if line.startswith(f"vocabulary_size {manifest.vocabulary_size}: "))
    assert "of which 95% of the tokens are frequent" in line


def test_the_layout_is_complete_and_the_counts_add_up(made: Path) -> None:
    corpus = Corpus(made / "corpus")
    manifest = corpus.read_manifest()
    names = {path.name for path in corpus.path.iterdir()}
    assert names - {name for shard in manifest.shards for name in (shard.file, shard.lengths_file)} == {
        "manifest.json", "rejected.jsonl", "sources.json", "statistics.json", "test.jsonl", "tokenizer.model",
        "tokenizer.vocab", "valid.jsonl",
    }  # fmt: skip
    assert {shard.file[:5] for shard in manifest.shards} == {"train", "valid"}
    assert manifest.shards == [*corpus.shards("train"), *corpus.shards("valid")]
    assert manifest.id_type == "uint16"
    counts = manifest.counts
    assert counts.read == 104
    assert counts.rejected == {"duplicate": 1, "empty": 1, "length_ratio": 1, "too_long": 1}
    assert counts.kept == 100 == counts.train + counts.valid + counts.test
    assert sum(shard.records for shard in manifest.shards if shard.file.startswith("train")) == counts.train
    assert len(corpus.read_text("valid")) == counts.valid
    assert len(corpus.read_text("test")) == counts.test
    assert manifest.vocabulary_size == len(corpus.vocabulary.read_text(encoding="utf-8").splitlines())


def test_held_out_text_is_unchanged(made: Path) -> None:
    given = {tuple(row.split("\t")) for row in rows(100)}
    for split in ("valid", "test"):
        found = {(pair["source"], pair["target"]) for pair in Corpus(made / "corpus").read_text(split)}
        assert found
        assert found <= given


def test_the_sources_are_counted_for_monitoring(made: Path) -> None:
    from seqline.components.tokenize.vocabulary import load

    corpus = Corpus(made / "corpus")
    held_out = {pair["source"] for split in ("valid", "test") for pair in corpus.read_text(split)}
    trained = [row.split("\t")[0] for row in rows(100) if row.split("\t")[0] not in held_out]
    encoded = load(corpus.tokenizer.read_bytes()).encode(trained)
    expected = np.zeros(TOKEN_BUCKETS)
    for ids in encoded:
        np.add.at(expected, np.array(ids) % TOKEN_BUCKETS, 1 / len(ids) / len(encoded))
    found = Sources.read(corpus.path / SOURCES)
    np.testing.assert_allclose(found.tokens, expected, atol=1e-5)
    assert found.source_lengths == dict(sorted(Counter(map(len, encoded)).items()))
    assert found.rows == 104


def test_training_ids_decode_to_the_training_pairs(made: Path) -> None:
    from seqline.components.tokenize.vocabulary import load

    corpus = Corpus(made / "corpus")
    processor = load(corpus.tokenizer.read_bytes())
    decoded = {tuple(map(processor.decode, pair)) for pair in read_ids(corpus, "train")}
    held_out = {(pair["source"], pair["target"]) for split in ("valid", "test") for pair in corpus.read_text(split)}
    assert decoded | held_out == {tuple(row.split("\t")) for row in rows(100)}
    assert not decoded & held_out


def test_the_page_shows_the_counts_and_an_example_of_each_reason(made: Path) -> None:
    page = (made / "report.html").read_text(encoding="utf-8")
    assert "100 of 104 rows kept" in page
    for text in (
        "duplicate",
        "too_long",
        "length_ratio",
        "immer weiter",
        Corpus(made / "corpus").read_manifest().fingerprint,
    ):
        assert text in page
    assert "http" not in page.replace("http-equiv", "")


def test_order_and_files_do_not_change_a_byte(made: Path, tmp_path: Path) -> None:
    lines = (made / "data.tsv").read_text(encoding="utf-8").splitlines()[::-1]
    (tmp_path / "b.tsv.gz").write_bytes(gzip.compress(("\n".join(lines[:50]) + "\n").encode()))
    records = [dict(zip(("source", "target"), line.split("\t"), strict=True)) for line in lines[50:]]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, records)) + "\n")
    data = f"{tmp_path / 'b.tsv.gz'},{tmp_path / '*.jsonl'}"
    tokenize(data, tmp_path / "corpus", tmp_path / "report.html", options=OPTIONS)
    first, second = contents(made), contents(tmp_path)
    # These two name the files of the rows.
    for name in ("manifest.json", "rejected.jsonl"):
        assert first.pop(name) != second.pop(name)
    assert first == second


def test_the_fingerprint_follows_data_and_options(made: Path, tmp_path: Path) -> None:
    lines = (made / "data.tsv").read_text(encoding="utf-8").splitlines()
    first = Corpus(made / "corpus").read_manifest().fingerprint
    assert run(tmp_path, lines).fingerprint == first
    assert contents(tmp_path) == contents(made)
    assert run(tmp_path, lines, OPTIONS.with_values(max_tokens=41)).fingerprint != first
    assert run(tmp_path, [*lines, "a\tb"]).fingerprint != first


def test_official_splits_are_used_as_given(tmp_path: Path) -> None:
    valid, test = rows(6, first=200), [*rows(2, first=300), "0\t" + "weiter " * 60]
    (tmp_path / "valid.tsv").write_text("\n".join(valid))
    (tmp_path / "test.tsv").write_text("\n".join([*test, test[0]]))
    # Corrections are for training alone, have fields of their own, and leave it like any pair of a test source.
    corrected = [rows(1, first=400)[0], f"{test[0].partition(chr(9))[0]}\tbesser", rows(1)[0]]
    records = [{"id": "1", **dict(zip(("source", "target"), row.split("\t"), strict=True))} for row in corrected]
    (tmp_path / "feedback.jsonl").write_text("\n".join(map(json.dumps, records)))
    more = {name: str(tmp_path / f"{name.partition('_')[0]}.tsv") for name in ("valid_data", "test_data")}
    more["feedback"] = str(tmp_path / "feedback.jsonl")
    counts = run(tmp_path, [*rows(40), test[0]], **more).counts
    assert (counts.read, counts.train, counts.valid, counts.test) == (54, 41, 6, 4)
    assert counts.rejected == {"in_test": 2, "duplicate": 1}
    assert counts.feedback == 1
    # Rows that are new since then are counted by the data alone.
    assert json.loads((tmp_path / "corpus" / "sources.json").read_text())["rows"] == 51
    assert json.loads((tmp_path / "corpus" / "statistics.json").read_text())["feedback_share"] == 1 / 41


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        (
            "data.tsv",
            [*rows(50), "only one"],
            r"data.tsv, line 51: one column, not two .*1 of 51 rows are malformed: correct",
        ),
        ("data.jsonl", ['{"source": "a", "target": 1}'], r"data.jsonl, line 1: field 'target' is not a text"),
        (
            "data.tsv",
            rows(9),
            r"too few pairs to split: train \d+ \(at least 10\), valid \d .*9 rows read.*valid_data",
        ),
        ("data.tsv", ["", ""], r"too few pairs to split: train 0 .*2 rows read, rejected: 2 empty"),
        (
            "data.xml",
            rows(50),
            r"data.xml: input files end in .tsv, .csv, .jsonl, .parquet, alone or with .gz, .zst, .bz2",
        ),
    ],
)
def test_bad_data_is_one_message_and_no_output(name: str, lines: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        run(tmp_path, lines, name=name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_bytes_that_are_not_utf8_are_named_by_file_and_line(tmp_path: Path) -> None:
    data = tmp_path / "data.tsv"
    data.write_bytes("\n".join([*rows(50), ""]).encode() + b"caf\xe9\tcaf\xe9\n")
    with pytest.raises(UserError, match=r"data.tsv, line 51: byte 4 of the row is not UTF-8"):
        tokenize(str(data), tmp_path / "corpus", tmp_path / "report.html", options=OPTIONS)


def test_a_share_of_malformed_rows_can_be_allowed(tmp_path: Path) -> None:
    lines = [*rows(100), "only one"]
    counts = run(tmp_path, lines, OPTIONS.with_values(max_malformed_share=0.02)).counts
    assert (counts.read, counts.kept, counts.rejected) == (101, 100, {"wrong_columns": 1})


def test_the_page_counts_headers_and_fields_that_are_set_twice(tmp_path: Path) -> None:
    lines = ["source\ttarget", *(f"number {number} of cats\tZahl {number} von Katzen" for number in range(100))]
    (tmp_path / "pairs.tsv").write_text("\n".join([*lines, *lines[:1]]) + "\n", encoding="utf-8")
    (tmp_path / "pairs.jsonl").write_text('{"source": "a", "source": "b", "target": "c"}\n', encoding="utf-8")
    options = OPTIONS.with_values(max_malformed_share=0.5)
    data = f"{tmp_path / 'pairs.tsv'},{tmp_path / 'pairs.jsonl'}"
    manifest = tokenize(data, tmp_path / "corpus", tmp_path / "report.html", options=options)
    assert manifest.counts.rejected == {"header": 1, "repeated_field": 1}
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "the header again" in page
    assert "a field set twice" in page


def test_a_failed_run_leaves_the_previous_corpus_unchanged(tmp_path: Path) -> None:
    run(tmp_path, rows(100))
    before = contents(tmp_path)
    with pytest.raises(UserError):
        run(tmp_path, ["only one"])
    assert contents(tmp_path) == before


@pytest.mark.parametrize("change", ["more rows", "another file"])
def test_data_that_changed_since_its_fingerprint_is_no_corpus(tmp_path: Path, change: str) -> None:
    data = tmp_path / "data.tsv"
    data.write_text("\n".join(rows(100)) + "\n")
    pattern = str(tmp_path / "*.tsv")
    fingerprint = fingerprint_of(describe_all(pattern))
    if change == "more rows":
        data.write_text("\n".join(rows(101)) + "\n")
    else:
        (tmp_path / "late.tsv").write_text("one\teins\n")
    with pytest.raises(UserError, match="the input files changed while they were read"):
        tokenize(pattern, tmp_path / "corpus", tmp_path / "report.html", fingerprint, options=OPTIONS)
    assert not (tmp_path / "corpus").exists()
    assert not (tmp_path / "report.html").exists()


def test_a_missing_validation_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"valid_data: no such file: .*nowhere.tsv"):
        run(tmp_path, rows(50), valid_data=str(tmp_path / "nowhere.tsv"))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"valid_share": 1.5}, "valid_share must be"),
        ({"valid_share": 0.5, "test_share": 0.5}, "must leave pairs for training"),
        ({"vocabulary_size": 10}, "vocabulary_size must be at least 300"),
        ({"rules": {"length_ratio": "x"}}, "length_ratio must be true, false or a number"),
        ({"rules": {"lenght_ratio": 3}}, "did you mean 'length_ratio'"),
        ({"rules": {"in_test": False}}, "the test set must stay out of training"),
        (
            {"task": "chat"},
            "task must be translation, summarization, question_answering or text_generation, not 'chat'",
        ),
        ({"model_type": "word"}, "model_type must be unigram or bpe"),
        ({"shards": 0}, "shards must be at least 1"),
        ({"source_field": " "}, "source_field must not be empty"),
        ({"character_coverage": 0.5}, "character_coverage must be"),
    ],
)
def test_an_impossible_option_is_named(option: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Options(**option)


def test_the_manifest_s_options_are_in_one_form() -> None:
    written = Options(max_tokens=40.0, valid_share=0.02, rules={"length_ratio": 4.0}, expectations={"min_pairs": 9})
    assert json.dumps(written.content()) == json.dumps(Options(max_tokens=40, rules={"length_ratio": 4}).content())


@pytest.mark.e2e
def test_worker_processes_write_the_same_bytes(made: Path, tmp_path: Path) -> None:
    lines = (made / "data.tsv").read_text(encoding="utf-8").splitlines()
    run(tmp_path, lines, beam_options="--direct_running_mode=multi_processing --direct_num_workers=2")
    assert contents(tmp_path) == contents(made)


@pytest.mark.e2e
def test_runs_alone(tmp_path: Path) -> None:
    (tmp_path / "data.tsv").write_text("\n".join(rows(100)), encoding="utf-8")
    command = [sys.executable, "-m", "seqline.components.tokenize", "--corpus", "corpus", "--report", "report.html"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    for data, code, message in (
        ("data.tsv", 0, "read 100 rows, kept 100"),
        ("none.tsv", 1, "error: data: no such file"),
    ):
        done = subprocess.run(
            [*command, "--data", data, "--vocabulary_size", "400", "--valid_share", "0.1", "--test_share", "0.1"],
            cwd=tmp_path, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == code
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_slices_drift_and_expectations_are_reported(made: Path, tmp_path: Path) -> None:
    (tmp_path / "data.tsv").write_text(
        "source\ttarget\tdomain\n"
        + "".join(f"{row}\t{('news', 'law')[number % 2]}\n" for number, row in enumerate(rows(120)))
    )
    corpus, report = tmp_path / "corpus", tmp_path / "report.html"
    options = OPTIONS.with_values(
        slice_field="domain",
        tokenizer=str(made / "corpus" / "tokenizer.model"),
        expectations={"min_pairs": 50, "slices": ["news", "law"], "max_piece_drift": 0.3},
    )
    data, previous = str(tmp_path / "data.tsv"), str(made / "corpus")
    tokenize(data, corpus, report, previous_corpus=previous, options=options)
    assert {pair["slice"] for split in ("valid", "test") for pair in Corpus(corpus).read_text(split)} == {"news", "law"}
    assert (corpus / "tokenizer.model").read_bytes() == (made / "corpus" / "tokenizer.model").read_bytes()
    page = report.read_text(encoding="utf-8")
    assert "Drift from the previous corpus" in page
    assert "not met" not in page
    before = contents(tmp_path)
    with pytest.raises(UserError, match=r"not as expected: min_pairs: \d+, expected at least 5000\. Look"):
        unmet = options.with_values(expectations={"min_pairs": 5000})
        tokenize(data, corpus, report, previous_corpus=previous, options=unmet)
    assert contents(tmp_path) == before
    assert "not met" in report.read_text(encoding="utf-8")


def test_documents_that_are_too_long_are_counted_with_advice(tmp_path: Path) -> None:
    text = "".join(chr(0x4E00 + number * 7 % 100) for number in range(7000))
    lines = [f"{text[number:]}{number}\t{text[number + 1 :]}{number}" for number in range(40)]
    (tmp_path / "data.tsv").write_text("\n".join(lines), encoding="utf-8")
    options = OPTIONS.with_values(max_tokens=128, rules={"wrong_script": False, "long_word": False, "repeated": False})
    with pytest.raises(UserError, match=r"rejected: 40 too_long\. Raise max_tokens, which is 128, or split the docum"):
        tokenize(str(tmp_path / "data.tsv"), tmp_path / "corpus", tmp_path / "report.html", options=options)


def test_long_sources_of_summaries_are_truncated_as_serving_does(tmp_path: Path) -> None:
    from seqline.components.tokenize.vocabulary import load

    def document(number: int) -> str:
        return f"number {number} of " + " ".join(f"{number * word % 97} cats" for word in range(2, 60))

    lines = [f"{document(number)}\tcats number {number}" for number in range(100)]
    lines += [f"a dog of {number}\t{document(number)}" for number in range(5)]
    manifest = run(tmp_path, lines, OPTIONS.with_values(task="summarization", rules={}))
    assert manifest.truncates_sources
    counts = manifest.counts
    assert counts.rejected == {"too_long": 5}
    assert counts.truncated == {split: getattr(counts, split) for split in ("train", "valid", "test")}
    assert "100 sources truncated to 40 tokens" in (tmp_path / "report.html").read_text(encoding="utf-8")
    corpus = Corpus(tmp_path / "corpus")
    assert all(pair["source"].endswith("cats") for pair in corpus.read_text("valid"))
    processor = load(corpus.tokenizer.read_bytes())
    given = {tuple(processor.encode(line.split("\t")[0])[:40]) for line in lines[:100]}
    found = {tuple(left) for split in SPLITS for left, _ in read_ids(corpus, split)}
    assert found <= given
    assert len(found) == counts.train + counts.valid
    assert json.loads((corpus.path / "statistics.json").read_text())["lengths"]["source"] == {"40": counts.train}


def test_a_prompt_that_leaves_no_room_for_sources_is_named(tmp_path: Path) -> None:
    lines = [f"number {number} of cats\tcats" for number in range(100)]
    template = "Summarize this text in one sentence of a few words: {source}"
    options = OPTIONS.with_values(task="summarization", rules={}, max_tokens=16, template=template)
    with pytest.raises(UserError, match=r"^the prompt alone has \d\d tokens, and max_tokens is 16: raise max_tokens"):
        run(tmp_path, lines, options)
    assert not (tmp_path / "corpus").exists()


def test_a_text_without_tokens_is_empty(tmp_path: Path) -> None:
    # SentencePiece takes U+2581 for a space.
    options = OPTIONS.with_values(rules={"symbols": False})
    manifest = run(tmp_path, [*rows(100), "\u2581\tein Wort", "ein Wort\t\u2581 \u2581"], options)
    assert manifest.counts.rejected == {"empty": 2}
