"""What is computed of a text and its answer."""

import io
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from seqline.artifacts.request_log import REQUESTS, SampledRequest, read_requests
from seqline.artifacts.text_tokenizer import MODEL, TextTokenizer
from seqline.sampling.features import Features, Sample, Tokens, _marks
from seqline.sampling.identification import language_of_text, scripts_of
from seqline.tokenizers.host import HostTokenizer

NOON = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)


def sample(source: str, output: str = "x", **fields: object) -> Sample:
    return Sample("1", NOON.timestamp(), "3", "predict", 0.25, source, output, **fields)  # type: ignore[arg-type]


def rows(features: Features, *samples: Sample) -> list[SampledRequest]:
    return [SampledRequest(**row) for row in features.table(samples).to_pylist()]


@pytest.fixture(scope="session")
def model() -> bytes:
    """A SentencePiece model with bytes for characters that it does not know."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a dog runs", "the dog sleeps", "a cat runs"] * 20), model_writer=written,
        vocab_size=300, byte_fallback=True, hard_vocab_limit=False, pad_id=0, unk_id=1, bos_id=2, eos_id=3,
        minloglevel=2, normalization_rule_name="identity",
    )  # fmt: skip
    return written.getvalue()


def tokens(model: bytes) -> Tokens:
    return Tokens(HostTokenizer(TextTokenizer.of_model(model, 300)))


def test_a_row_has_the_features_of_text_and_answer(model: bytes) -> None:
    known = tokens(model)
    given = sample("a dog", " a dog ", output_tokens=2, truncated=True, score=-0.5, slice="web")
    (row,) = rows(Features(lambda version: known), given)
    assert (row.id, row.time, row.version, row.interface) == ("1", NOON, "3", "predict")
    assert (row.source_characters, row.output_characters, row.latency_ms) == (5, 7, 250)
    assert (row.copied, row.empty, row.truncated, row.score, row.slice) == (True, False, True, -0.5, "web")
    assert (row.source_tokens, row.output_tokens, row.unknown_tokens) == (len(row.token_buckets), 2, 0)
    assert (row.source, row.output) == (None, None)


def test_the_tokens_of_an_output_are_the_models_or_else_those_of_its_text(model: bytes) -> None:
    features = Features(lambda version: tokens(model))
    returned, unknown = rows(features, sample("a", "a dog runs", output_tokens=9), sample("a", "a dog runs"))
    assert returned.output_tokens == 9
    assert unknown.output_tokens == len(tokens(model).of(["a dog runs"])[0])


def test_bytes_of_characters_without_a_token_are_unknown(model: bytes) -> None:
    (row,) = rows(Features(lambda version: tokens(model)), sample("a 犬"))
    assert row.unknown_tokens == len("犬".encode())


def test_tokens_are_those_of_the_corpus(model: bytes) -> None:
    # The graph and the corpus clean a text first.
    assert tokens(model).of(["a\tdog\u200b"]) == tokens(model).of(["a dog"])


def test_each_version_has_its_own_tokenizer(model: bytes) -> None:
    known = tokens(model)
    other = Sample("2", NOON.timestamp(), "4", "grpc", 0, "a dog", "")
    found = rows(Features({"3": known, "4": None}.get), sample("a dog"), other, sample("a dog runs"))
    expected = [sorted(id_ % 1024 for id_ in row) for row in known.of(["a dog", "a dog runs"])]
    assert [row.token_buckets for row in found] == [expected[0], [], expected[1]]
    assert [row.source_tokens for row in found] == [len(expected[0]), -1, len(expected[1])]
    assert [(row.unknown_tokens, row.empty) for row in found] == [(0, False), (-1, True), (0, False)]


@given(st.lists(st.lists(st.integers(0, 5000), max_size=6), max_size=4))
def test_buckets_and_unknown_tokens_are_counted_for_each_row(rows: list[list[int]]) -> None:
    known = Tokens.__new__(Tokens)
    known._unknown = _marks({1, 300})
    lengths, unknown, buckets = known.counted(rows)
    assert lengths.tolist() == list(map(len, rows))
    assert unknown.tolist() == [sum(id_ in (1, 300) for id_ in row) for row in rows]
    assert buckets.to_pylist() == [sorted(id_ % 1024 for id_ in row) for row in rows]


def test_languages_are_identified_for_so_many_texts_a_second() -> None:
    now = 0.0
    features = Features(lambda version: None, languages_a_second=3, clock=lambda: now)
    texts = [sample("Ein Hund rennt über die grüne Wiese.")] * 6

    def identified() -> list[bool]:
        return [row.language is not None for row in rows(features, *texts)]

    assert identified() == [True, False, True, False, True, False]
    assert identified() == [False] * 6
    now = 1.0
    assert sum(identified()) == 3


@pytest.mark.parametrize(
    ("text", "script", "language"),
    [
        ("A dog runs across the green field.", "Latin", "en"),
        ("Ein Hund rennt über die grüne Wiese.", "Latin", "de"),
        ("Η γάτα κοιμάται στον καναπέ", "Greek", "el"),
        ("これはペンです", "Hiragana", "ja"),
        ("강아지가 들판을 달린다", "Hangul", "ko"),
        ("dog", "Latin", None),
        ("Иван и the dog runs", "Latin", None),
        ("12:30 — 5 %", "Common", None),
        ("", "Common", None),
    ],
)
def test_script_and_language_of_a_text(text: str, script: str, language: str | None) -> None:
    assert (scripts_of([text]), language_of_text(text)) == ([script], language)


@settings(max_examples=20)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_any_texts_have_rows_that_are_written_and_read(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("log")
    # JSON and gRPC have no half of a surrogate pair.
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    REQUESTS.write(folder, Features(lambda version: None).table([sample(text, text) for text in texts]))
    assert read_requests(folder).table["source_characters"].to_pylist() == list(map(len, texts))


def test_a_model_without_a_tokenizer_has_rows_without_tokens(
    tmp_path: Path, model: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert Tokens.of_model(tmp_path) is None
    assert "the model has no tokenizer for the host, so samples have no tokens; export it again" in caplog.text
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra" / MODEL).write_bytes(b"broken")
    assert Tokens.of_model(tmp_path) is None
    assert "samples have no tokens: " in caplog.text
    (tmp_path / "assets.extra" / MODEL).write_bytes(model)
    found = Tokens.of_model(tmp_path)
    assert found is not None
    assert found.of(["a dog"]) == tokens(model).of(["a dog"])


def test_the_special_tokens_of_a_chat_are_left_out(model: bytes) -> None:
    whole: Callable[[list[str]], list[list[int]]] = tokens(model).of
    assert whole(["\x013\x01a dog\x012\x01runs"]) == whole(["a dog runs"])
