"""The files of SentencePiece tokenizers: our own, those of T5 and Llama, and Marian's with its table of ids."""

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import sentencepiece

from seqline.artifacts.text_tokenizer import MODEL, TextTokenizer
from seqline.errors import UserError
from seqline.protobuf import Fields, message_classes
from seqline.tokenizers.bpe import SPACE

TARGET, VOCABULARY = "target.spm", "vocab.json"
"""Names in `TextTokenizer.files`, beside `MODEL`: the model of the targets, and the id of each piece."""

_CONTROL, _USER_DEFINED = 3, 4


def surface(piece: str) -> str:
    """Returns the text that a piece stands for.

    Args:
        piece: A piece of a vocabulary without pieces of bytes.
    """
    return piece.replace(SPACE, " ")


@lru_cache(maxsize=4)
def processor(model: bytes) -> sentencepiece.SentencePieceProcessor:
    """Returns the processor of a serialized model, loaded once in a process.

    Args:
        model: The model.

    Raises:
        UserError: If it is none.
    """
    try:
        return sentencepiece.SentencePieceProcessor(model_proto=model)
    except RuntimeError:
        raise UserError("the file is not a SentencePiece model") from None


def without_symbols(model: bytes, symbols: set[str]) -> bytes:
    """Turns user-defined symbols into control symbols, which SentencePiece does not find in a text.

    Args:
        model: A serialized model.
        symbols: The symbols, such as <|im_start|>.
    """
    model_type = _model_type()
    proto, changed = model_type.FromString(model), False
    for piece in proto.pieces:
        if piece.type == _USER_DEFINED and piece.piece in symbols:
            piece.type, changed = _CONTROL, True
    return proto.SerializeToString(deterministic=True) if changed else model


@lru_cache(maxsize=1)
def _model_type() -> Any:
    """ModelProto of sentencepiece_model.proto, as far as it is needed; the library's own needs a newer protobuf."""
    messages: dict[str, Fields] = {
        "SentencePiece": {"piece": (1, "string", False), "type": (3, "int32", False)},
        "Model": {"pieces": (1, "SentencePiece", True)},
    }
    return message_classes("seqline.pieces", messages, syntax="proto2")["Model"]


class HostSentencePiece:
    """Encodes and decodes with the library sentencepiece.

    Args:
        tokenizer: The description, of kind sentencepiece.
    """

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self.tokenizer = tokenizer
        self.source = processor(tokenizer.file(MODEL))
        self.target = processor(tokenizer.file(TARGET)) if tokenizer.file(TARGET) else self.source
        self.numbers: dict[str, int] = json.loads(tokenizer.file(VOCABULARY) or "{}")
        self.pieces = {id_: piece for piece, id_ in self.numbers.items()}

    def encode(self, texts: list[str], target: bool = False) -> list[list[int]]:
        """Tokenizes texts.

        Args:
            texts: The texts.
            target: Whether they are targets, for which there may be a model of their own.
        """
        model = self.target if target else self.source
        if not self.numbers:
            # For short texts, lists of ids are faster than arrays.
            return model.encode(texts, num_threads=1)
        unknown = self.tokenizer.unknown
        rows = model.encode(texts, out_type=str, num_threads=1)
        return [[self.numbers.get(piece, unknown) for piece in row] for row in rows]

    def decode(self, rows: list[list[int]]) -> list[str]:
        """Joins the tokens of each row; special tokens are left out.

        Args:
            rows: Token ids.
        """
        special = set(self.tokenizer.special)
        if not self.numbers:
            size = self.source.vocab_size()
            return self.source.decode([[id_ for id_ in row if id_ < size and id_ not in special] for row in rows])
        texts = ("".join(self.pieces.get(id_, "") for id_ in row if id_ not in special) for row in rows)
        return [surface(text).strip(" ") for text in texts]

    def numbered_pieces(self) -> Iterable[tuple[str, int]]:
        """Returns each piece with its id."""
        if self.numbers:
            return self.numbers.items()
        return [(self.source.id_to_piece(id_), id_) for id_ in range(self.source.vocab_size())]
