"""A corpus with the tokenizer of a pretrained checkpoint."""

import json
from pathlib import Path

import pytest

from seqline.artifacts.corpus import Corpus
from seqline.components.tokenize.options import Options
from seqline.errors import UserError
from seqline.inputs.fingerprint import describe_all, fingerprint_of
from seqline.tokenizers.host import HostTokenizer, read_tokenizer
from tests.components.tokenize.ids import read_ids
from tests.components.tokenize.test_stage import run
from tests.seqline.tokenizers import small

OPTIONS = Options(valid_share=0.1, test_share=0.1, shards=1, max_tokens=60, rules={"length_ratio": 2})
ROWS = [f"the number {number} of cats\tThe number {number} of houses" for number in range(60)]


def checkpoint(folder: Path, files: dict[str, bytes]) -> str:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / "model.safetensors").write_bytes(b"weights")
    return str(folder)


def test_a_corpus_gets_the_prompts_and_ids_of_a_checkpoint(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "checkpoint", small.chat_files())
    template = "Answer: {source}"
    manifest = run(tmp_path / "made", ROWS, OPTIONS.with_values(tokenizer=folder, template=template, chat=True))
    corpus = Corpus(tmp_path / "made" / "corpus")
    assert corpus.tokenizer.name == "tokenizer.json"
    tokenizer = read_tokenizer(corpus.tokenizer.read_bytes())
    assert tokenizer.prompt.template == template
    assert manifest.vocabulary_size == tokenizer.vocabulary_size
    assert len(corpus.vocabulary.read_text(encoding="utf-8").splitlines()) == tokenizer.vocabulary_size
    # Short sources are not rejected for their long prompt.
    assert manifest.counts.kept == len(ROWS)
    host, pairs = HostTokenizer(tokenizer), corpus.read_text("valid")
    found = read_ids(corpus, "valid")
    sources = host.encode_sources([pair["source"] for pair in pairs])
    targets = host.encode_targets([pair["target"] for pair in pairs])
    assert found == list(zip(sources, targets, strict=True))
    assert all(tokenizer.end not in right for _, right in found)


def test_the_fingerprint_covers_a_checkpoint_s_tokenizer_and_not_its_weights(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "checkpoint", small.chat_files())
    (tmp_path / "data.tsv").write_text("a\tb\n")
    data = str(tmp_path / "data.tsv")
    before = fingerprint_of(describe_all(data, tokenizer=folder))
    Path(folder, "model.safetensors").write_bytes(b"other weights")
    assert fingerprint_of(describe_all(data, tokenizer=folder)) == before
    Path(folder, "chat_template.jinja").write_text("{{ messages[0].content }}")
    assert fingerprint_of(describe_all(data, tokenizer=folder)) != before


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ({"config.json": b"{}"}, {}, "has none of tokenizer.json, tokenizer.model"),
        ({"tokenizer.json": json.dumps({"model": {"type": "WordPiece"}}).encode()}, {}, "model 'WordPiece'"),
        ({**small.llama_files()}, {"chat": True}, "has no chat template"),
    ],
)
def test_a_tokenizer_is_refused_before_any_row_is_read(
    files: dict[str, bytes], options: dict[str, object], message: str, tmp_path: Path
) -> None:
    folder = checkpoint(tmp_path / "checkpoint", files)
    with pytest.raises(UserError, match=message):
        run(tmp_path / "made", ["one"], OPTIONS.with_values(tokenizer=folder, **options))


def test_chat_with_a_tokenizer_s_file_is_refused_before_any_row_is_read(tmp_path: Path) -> None:
    (tmp_path / "spiece.model").write_bytes(small.sentencepiece_model())
    options = OPTIONS.with_values(tokenizer=str(tmp_path / "spiece.model"), chat=True)
    with pytest.raises(UserError, match=r"spiece.model is a file, which has no chat template; set tokenizer to the f"):
        run(tmp_path / "made", ["one"], options)


def test_chat_without_a_checkpoint_is_refused() -> None:
    with pytest.raises(UserError, match="chat needs a pretrained checkpoint's folder"):
        OPTIONS.with_values(chat=True)
