"""The tokenizer of a corpus, a checkpoint and an exported model: one file, complete in itself.

Two forms of the file are read:

  tokenizer.model   a SentencePiece model of our own: pad 0, unknown 1, begin 2, end 3
  tokenizer.json    this record: a pretrained checkpoint's tokenizer, or a prompt, or both
"""

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from seqline.artifacts.record import Record, Schema
from seqline.buckets import patiently
from seqline.errors import UserError

MODEL = "tokenizer.model"
RECORD = "tokenizer.json"
FIELD = "{source}"
"""Where a template has the source."""


@dataclass(frozen=True)
class ChatTemplate:
    """How a chat becomes the model's input; see `seqline.tokenizers.chats`.

    Attributes:
        template: The checkpoint's chat template, in Jinja.
        names: Text of the special tokens that the template knows by name, such as eos_token.
        symbols: Id of each special token by its text.
        message: A user's message, with {source} for its text.
        date: The day that the template writes for today, YYYY-MM-DD: serving writes that of training. Empty for a
            template that asks for none.
    """

    template: str
    names: dict[str, str]
    symbols: dict[str, int]
    message: str = FIELD
    date: str = ""


@dataclass(frozen=True)
class Prompt:
    """What surrounds a source: `head`, the tokens of `before` + source + `after`, `tail`.

    Special tokens are in head and tail only: the strings around the source, and the source itself, never become one.

    Attributes:
        head: Token ids before the source, a beginning token included.
        before: Text that is tokenized together with the source, in front of it.
        after: The same, behind it.
        tail: Token ids after the source.
        target: Text in front of every target, such as a space; removed from outputs.
        template: The template as the user wrote it, for the model card.
        chat: Whether the template is the message in the checkpoint's chat template.
        inside: Whether a special token of the template is before the source: then its text is not a text's beginning.
        conversation: If `chat`: the whole chat template, for chats of several messages; None in older records.
    """

    head: list[int] = field(default_factory=list)
    before: str = ""
    after: str = ""
    tail: list[int] = field(default_factory=list)
    target: str = ""
    template: str = ""
    chat: bool = False
    inside: bool = False
    conversation: ChatTemplate | None = None

    @property
    def tokens(self) -> int:
        """Tokens besides those of the source and its texts."""
        return len(self.head) + len(self.tail)


@dataclass(frozen=True)
class TextTokenizer(Record):
    """A tokenizer with all of its files.

    Attributes:
        kind: sentencepiece (one model, or one for each side), or bpe (a tokenizer.json of `tokenizers`).
        files: Content of the files by name, base64.
        vocabulary_size: Number of ids: the largest plus one.
        pad: Id of the padding.
        unknown: Id of an unknown piece; -1 for none.
        begin: Id that begins a text; -1 for none.
        end: Id that ends a text.
        special: All ids that stand for no text.
        prompt: What surrounds a source.
        characters: For bpe: code points of each class as [first, last], as `tokenizers` sees them.
    """

    SCHEMA: ClassVar[Schema] = Schema(version=1, remedy="tokenize again")

    kind: Literal["sentencepiece", "bpe"]
    files: dict[str, str]
    vocabulary_size: int
    pad: int = 0
    unknown: int = 1
    begin: int = 2
    end: int = 3
    special: list[int] = field(default_factory=lambda: [0, 2, 3])
    prompt: Prompt = field(default_factory=Prompt)
    characters: dict[str, list[list[int]]] = field(default_factory=dict)

    def file(self, name: str) -> bytes:
        """Returns the content of a file; empty if there is none.

        Args:
            name: Its name.
        """
        return base64.b64decode(self.files.get(name, ""))

    @property
    def own(self) -> bool:
        """Whether it is a SentencePiece model whose ids are the model's, with special ids 0 to 3."""
        return self.kind == "sentencepiece" and (self.pad, self.unknown, self.begin, self.end) == (0, 1, 2, 3)

    @classmethod
    def of_model(cls, model: bytes, vocabulary_size: int, prompt: Prompt | None = None) -> "TextTokenizer":
        """Returns the description of a SentencePiece model of our own.

        Args:
            model: The serialized model.
            vocabulary_size: Its number of pieces.
            prompt: What surrounds a source; nothing by default.
        """
        return cls("sentencepiece", {MODEL: encoded(model)}, vocabulary_size, prompt=prompt or Prompt())

    @property
    def start(self) -> int:
        """Id that starts every target: the beginning, or without one the padding, as Marian and T5 do."""
        return self.pad if self.begin < 0 else self.begin

    def to_bytes(self) -> bytes:
        """Returns the file's content."""
        return self.to_json().encode()


def encoded(content: bytes) -> str:
    """Returns a file's content as it is in `TextTokenizer.files`."""
    return base64.b64encode(content).decode()


def is_unknown(piece: str) -> bool:
    """Whether a piece is the unknown one, or one byte of a character without a token: "<0x41>".

    Args:
        piece: A piece of a vocabulary.
    """
    return piece == "<unk>" or (len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"))


def tokenizer_file(folder: Path) -> Path:
    """Returns the tokenizer's file in the folder of a corpus or a checkpoint: tokenizer.json, else tokenizer.model.

    Args:
        folder: The folder.
    """
    record = folder / RECORD
    return record if patiently(record.is_file, record) else folder / MODEL


def is_record(content: bytes) -> bool:
    """Whether a tokenizer's file is a `TextTokenizer`, not a SentencePiece model.

    Args:
        content: The file's content.
    """
    return content[:1] == b"{"


def parse_record(content: bytes, origin: str) -> TextTokenizer:
    """Reads a tokenizer's file that is a `TextTokenizer`.

    Args:
        content: The file's content.
        origin: Where it comes from, for messages.

    Raises:
        UserError: If it cannot be read.
    """
    try:
        return TextTokenizer.from_json(content.decode(), origin)
    except UnicodeDecodeError:
        raise UserError(f"{origin} is no tokenizer; {TextTokenizer.SCHEMA.remedy}") from None


def check_template(template: str) -> None:
    """Checks a template before anything runs.

    Args:
        template: Such as "summarize: {source}"; empty for none.

    Raises:
        UserError: If it has no {source}, or more than one.
    """
    if template and template.count(FIELD) != 1:
        found = "no" if FIELD not in template else "more than one"
        raise UserError(f"template: {template!r} has {found} {FIELD}; write one, such as 'summarize: {FIELD}'")
