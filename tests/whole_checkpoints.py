"""Small checkpoints with random weights and a real tokenizer: what a pipeline starts from."""

from pathlib import Path
from typing import Any

from tests import pretrained_checkpoints as checkpoints
from tests.seqline.tokenizers import small

LLAMA: dict[str, Any] = {
    "vocab_size": 512, "bos_token_id": 1, "eos_token_id": 2, "max_position_embeddings": 512, "num_hidden_layers": 1,
}  # fmt: skip
T5: dict[str, Any] = {"num_layers": 1}


def write_llama(folder: Path, **config: Any) -> Path:
    """A checkpoint as of SmolLM2: byte-level BPE with a chat template; pad and end are one token, ids are padded."""
    return _write(folder, "llama3", small.chat_files(), {**LLAMA, **config})


def write_llama_2(folder: Path, **config: Any) -> Path:
    """A checkpoint as of Llama 2: BPE with byte fallback, and a token that begins every text."""
    files = small.llama_files()
    return _write(folder, "llama2", files, {**LLAMA, "vocab_size": size_of(files, folder), **config})


def write_t5(folder: Path, **config: Any) -> Path:
    """A checkpoint as of T5 1.1: SentencePiece with extra ids behind it, and padded."""
    files = small.t5_files()
    return _write(folder, "t5_v1_1", files, {**T5, "vocab_size": size_of(files, folder) + 12, **config})


def write_marian(folder: Path, **config: Any) -> Path:
    """A checkpoint as of OPUS-MT: two SentencePiece models with a table of ids; the padding is the last."""
    files = small.marian_files()
    size = size_of(files, folder)
    special = {"pad_token_id": size - 1, "decoder_start_token_id": size - 1, "bad_words_ids": [[size - 1]]}
    # Of the length that a corpus needs by default.
    longest = {"max_position_embeddings": 256, "encoder_layers": 1}
    return _write(folder, "marian", files, {"vocab_size": size, **special, **longest, **config})


def size_of(files: dict[str, bytes], folder: Path) -> int:
    """The number of ids of a tokenizer."""
    from seqline.tokenizers.checkpoint_files import read_files

    return read_files(files, str(folder)).tokenizer.vocabulary_size


def _write(folder: Path, family: str, files: dict[str, bytes], config: dict[str, Any]) -> Path:
    weights = checkpoints.weights_of(family, **config)
    checkpoints.write(folder, family, config=config, weights=weights)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder
