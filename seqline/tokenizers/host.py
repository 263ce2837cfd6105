"""The tokenizer on the host: the corpus stage encodes with it, at the speed of the libraries."""

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Protocol, cast

from seqline.artifacts.text_tokenizer import TextTokenizer, is_record, parse_record
from seqline.tokenizers.sentencepiece_files import HostSentencePiece, processor

BPE = "tokenizer.json"
"""Name in `TextTokenizer.files` of a byte-pair encoding's file."""


class Library(Protocol):
    """A library's encoder of texts, without prompts and special tokens."""

    def encode(self, texts: list[str], target: bool = False) -> list[list[int]]:
        """Tokenizes texts."""
        ...

    def decode(self, rows: list[list[int]]) -> list[str]:
        """Joins the tokens of each row."""
        ...

    def numbered_pieces(self) -> Iterable[tuple[str, int]]:
        """Returns each piece with its id."""
        ...


class HostBpe:
    """Encodes and decodes with the library tokenizers. Special tokens in a text are text.

    Args:
        tokenizer: The description, of kind bpe.
    """

    def __init__(self, tokenizer: TextTokenizer) -> None:
        whole = json.loads(tokenizer.file(BPE))
        # Encodings are without them, and a template may have a truncation of its own.
        whole["truncation"] = whole["padding"] = whole["post_processor"] = None
        self.first = _library(json.dumps(whole))
        self.later = self.first
        cutter = whole.get("pre_tokenizer") or {}
        if cutter.get("prepend_scheme") == "first":
            self.later = _library(json.dumps({**whole, "pre_tokenizer": {**cutter, "prepend_scheme": "never"}}))
        self.inside = tokenizer.prompt.inside
        bytewise = (whole.get("decoder") or {}).get("type") == "ByteLevel"
        self.whole = {
            token["id"]: "" if token["special"] else token["content"]
            for token in whole["added_tokens"]
            if bytewise and not token["content"].isascii()
        }

    def encode(self, texts: list[str], target: bool = False) -> list[list[int]]:
        """Tokenizes texts.

        Args:
            texts: The texts.
            target: Whether they continue a prompt.
        """
        library = self.later if target or self.inside else self.first
        return [encoding.ids for encoding in library.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(self, rows: list[list[int]]) -> list[str]:
        """Joins the tokens of each row; special tokens are left out.

        Args:
            rows: Token ids.
        """
        return [self._decode(row) if self.whole.keys() & row else text for row, text in self._decoded(rows)]

    def _decoded(self, rows: list[list[int]]) -> Iterable[tuple[list[int], str]]:
        return zip(rows, self.first.decode_batch(rows, skip_special_tokens=True), strict=True)

    def _decode(self, row: list[int]) -> str:
        """Joins tokens with added ones, in which the library would take "é" for a byte."""
        parts: list[str | list[int]] = [[]]
        for id_ in row:
            if id_ in self.whole:
                parts += [self.whole[id_], []]
            else:
                cast("list[int]", parts[-1]).append(id_)
        return "".join(part if isinstance(part, str) else self.first.decode(part) for part in parts)

    def numbered_pieces(self) -> Iterable[tuple[str, int]]:
        """Returns each piece with its id."""
        return self.first.get_vocab(with_added_tokens=True).items()


class HostTokenizer:
    """A tokenizer with its prompt.

    Args:
        tokenizer: The description.
    """

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self.tokenizer = tokenizer
        self.library: Library = HostBpe(tokenizer) if tokenizer.kind == "bpe" else HostSentencePiece(tokenizer)

    def encode_sources(self, texts: list[str]) -> list[list[int]]:
        """Tokenizes sources with their prompt, without the end that the model appends.

        Args:
            texts: Cleaned texts.
        """
        prompt = self.tokenizer.prompt
        whole = [f"{prompt.before}{text}{prompt.after}" for text in texts]
        return [[*prompt.head, *row, *prompt.tail] for row in self.library.encode(whole)]

    def prompt_tokens(self) -> int:
        """Returns the number of tokens of a prompt without a source."""
        return len(self.encode_sources([""])[0])

    def ending(self) -> list[int]:
        """Returns the tokens of a prompt behind a source that is truncated: those that they have without it."""
        prompt = self.tokenizer.prompt
        after = self.library.encode([prompt.after], target=True)[0] if prompt.after else []
        return [*after, *prompt.tail]

    def encode_targets(self, texts: list[str]) -> list[list[int]]:
        """Tokenizes targets, without the end that the model appends.

        Args:
            texts: Cleaned texts.
        """
        start = self.tokenizer.prompt.target
        return self.library.encode([f"{start}{text}" for text in texts], target=True)

    def pieces(self) -> list[str]:
        """Returns the piece of each id, as the vocabulary has it; empty for an id without one."""
        found = [""] * self.tokenizer.vocabulary_size
        for piece, id_ in self.library.numbered_pieces():
            found[id_] = piece
        return found

    def decode(self, rows: list[list[int]]) -> list[str]:
        """Returns the texts of targets; special tokens are left out.

        Args:
            rows: Token ids.
        """
        return [text.removeprefix(self.tokenizer.prompt.target) for text in self.library.decode(rows)]


def read_tokenizer(content: bytes, origin: str = "tokenizer") -> TextTokenizer:
    """Reads a tokenizer's file, of a corpus or a checkpoint: a `TextTokenizer`, or a SentencePiece model of our own.

    Args:
        content: The file's content.
        origin: Where it comes from, for messages.

    Raises:
        UserError: If it cannot be read.
    """
    if is_record(content):
        return parse_record(content, origin)
    return TextTokenizer.of_model(content, processor(content).vocab_size())


@lru_cache(maxsize=2)
def _library(content: str) -> Any:
    from tokenizers import Tokenizer

    library = Tokenizer.from_str(content)
    # <|im_start|> in a text of a user is not the token: who writes the text does not write the prompt.
    library.encode_special_tokens = True
    return library
