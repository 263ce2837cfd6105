"""Reading tokenizer.json, the file of the library `tokenizers`: a byte-pair encoding and the steps around it.

The file's schema is `tokenizers/src/tokenizer/serialization.rs` and the modules named in it. What the graph cannot
represent is refused here by name, before anything is tokenized.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from seqline.errors import UserError

CONTRACTIONS = "'s|'t|'re|'ve|'m|'ll|'d"
_MODERN = "|".join(
    (
        f"(?i:{CONTRACTIONS})",
        r"[^\r\n\p{L}\p{N}]?\p{L}+",
        r"\p{N}%s",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
Cut = Literal["gpt2", "llama3", "qwen2", "digits", "digit_runs", "spaces"]
REGEXES: dict[str, Cut] = {
    rf"{CONTRACTIONS}| ?\p{{L}}+| ?\p{{N}}+| ?[^\s\p{{L}}\p{{N}}]+|\s+(?!\S)|\s+": "gpt2",
    _MODERN % "{1,3}": "llama3",
    _MODERN % "": "qwen2",
}
"""The regular expressions of `Split` that the graph knows, as in the tokenizers of GPT-2, Llama 3 and Qwen2."""
SPACE = "▁"
KINDS = "byte-level BPE (GPT-2, Llama 3, Qwen2, SmolLM2), BPE with byte fallback (Llama 2), SentencePiece (T5, Marian)"


@dataclass(frozen=True)
class Added:
    """An added token, as `tokenizers` finds it in a text: `AddedToken`.

    Attributes:
        content: Its text.
        id: Its id.
        special: Whether it stands for no text; a text never contains it, whatever its characters.
        lstrip: Whether it takes in the spaces before it.
        rstrip: Whether it takes in the spaces after it.
        single_word: Whether it must not touch a letter, a digit or an underscore.
        normalized: Whether it is looked for after the normalization.
    """

    content: str
    id: int
    special: bool = False
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False
    normalized: bool = False


@dataclass(frozen=True)
class Bpe:
    """A byte-pair encoding.

    Attributes:
        vocabulary: Id of each piece, without the added tokens.
        merges: Ids that merge, left and right, and what they become, by rank.
        added: The added tokens.
        byte_level: Whether the symbols are bytes; otherwise characters.
        byte_fallback: Whether an unknown character becomes the pieces of its bytes, such as <0xE2>.
        ignore_merges: Whether a word that is a piece is that piece, whatever the merges.
        unknown: Id of an unknown character; -1 to drop it.
        fuse_unknown: Whether neighbouring unknown characters are one token.
        nfc: Whether texts are normalized to NFC.
        prefix: When a space is put in front of a text: never; missing (unless there is one); always.
        replace: Whether the normalization turns spaces into ▁; otherwise the pre-tokenizer Metaspace does.
        first_only: Whether only the first part of a text gets one, when added tokens cut it.
        cuts: How a text is cut into words, one rule after the other.
        strip: What decoding removes at the start: nothing; one (space); all (spaces of the first token).
        head: Ids that the post-processor puts before a text.
        tail: Ids that it puts after it.
    """

    vocabulary: dict[str, int]
    merges: list[tuple[int, int, int]]
    added: list[Added]
    byte_level: bool
    byte_fallback: bool
    ignore_merges: bool
    unknown: int
    fuse_unknown: bool
    nfc: bool
    prefix: Literal["never", "missing", "always"]
    replace: bool
    first_only: bool
    cuts: list[Cut]
    strip: Literal["nothing", "one", "all"]
    head: list[int]
    tail: list[int]

    @property
    def size(self) -> int:
        """Number of ids: the largest plus one."""
        return 1 + max([*self.vocabulary.values(), *(token.id for token in self.added)])

    @property
    def special(self) -> list[int]:
        """The ids of special tokens."""
        return sorted({token.id for token in self.added if token.special})

    def surfaces(self) -> list[bytes]:
        """Returns what each id stands for: bytes of UTF-8, which may be a part of a character."""
        found = [b""] * self.size
        for piece, id_ in self.vocabulary.items():
            found[id_] = self._surface(piece)
        for token in self.added:
            # The decoder ByteLevel takes "é" in an added token for a byte; here an added token stands for itself.
            found[token.id] = token.content.encode() if self.byte_level else self._surface(token.content)
        return found

    def bytes_of(self) -> dict[int, int]:
        """Returns the byte of each piece such as <0xE2>, by id."""
        if not self.byte_fallback:
            return {}
        return {self.vocabulary[f"<0x{byte:02X}>"]: byte for byte in range(256)}

    def _surface(self, piece: str) -> bytes:
        if self.byte_level:
            alphabet = byte_alphabet()
            # As the decoder ByteLevel: a piece with other characters stands for itself.
            return bytes(alphabet[char] for char in piece) if set(piece) <= alphabet.keys() else piece.encode()
        if self.byte_fallback and len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
            return bytes([int(piece[3:5], 16)])
        return piece.replace(SPACE, " ").encode()


@lru_cache(maxsize=1)
def byte_alphabet() -> dict[str, int]:
    """Returns the byte of each character of ByteLevel's alphabet, which writes every byte as a printable character."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


def read_bpe(content: bytes, origin: str = "tokenizer.json") -> Bpe:
    """Reads a tokenizer.json.

    Args:
        content: The file's content.
        origin: Where it comes from, for messages.

    Raises:
        UserError: If it cannot be read, or has a part that the graph cannot represent.
    """
    try:
        whole = json.loads(content)
        model = whole["model"]
        kind = model.get("type", "BPE")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{origin} is not a tokenizer.json of the library tokenizers; give the checkpoint's") from None
    reader = _Reader(origin)
    if kind != "BPE":
        also = "; with a Unigram model, give its SentencePiece file (spiece.model) too" if kind == "Unigram" else ""
        raise reader.refusal("model", kind, KINDS, also)
    for name in ("continuing_subword_prefix", "end_of_word_suffix", "dropout"):
        if model.get(name):
            raise reader.refusal(f"model.{name}", model[name], "none")
    try:
        return reader.read(whole, model)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(
            f"{origin} cannot be read: {type(error).__name__} {error}; check whether it is complete"
        ) from None


class _Reader:
    """Reads the parts of one file."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.normalizer_replaces = False

    def refusal(self, part: str, found: Any, supported: str, also: str = "") -> UserError:
        return UserError(f"{self.origin}: {part} {found!r} is not supported{also}; supported: {supported}")

    def read(self, whole: dict[str, Any], model: dict[str, Any]) -> Bpe:
        vocabulary: dict[str, int] = model["vocab"]
        pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]]
        merges = []
        for rank, (left, right) in enumerate(pairs):
            if missing := [piece for piece in (left, right, left + right) if piece not in vocabulary]:
                raise UserError(f"{self.origin}: merge {rank} needs {missing[0]!r}, which is not in the vocabulary")
            merges.append((vocabulary[left], vocabulary[right], vocabulary[left + right]))
        normalizers = _flat(whole.get("normalizer"), "normalizers")
        cutters = _flat(whole.get("pre_tokenizer"), "pretokenizers")
        byte_level = any(cutter["type"] == "ByteLevel" for cutter in cutters)
        nfc, prefix = self._normalization(normalizers, byte_level)
        cuts, cut_prefix, first_only = self._cuts(cutters, byte_level)
        if prefix != "never" and cut_prefix != "never":
            raise self.refusal("normalizer", "Prepend", "Prepend without a pre-tokenizer that adds a space")
        byte_fallback = bool(model.get("byte_fallback")) and not byte_level
        if byte_fallback and any(f"<0x{byte:02X}>" not in vocabulary for byte in range(256)):
            raise UserError(f"{self.origin}: byte_fallback needs the 256 pieces <0x00> to <0xFF> in the vocabulary")
        unknown = model.get("unk_token")
        names = ("special", "lstrip", "rstrip", "single_word", "normalized")
        added = [
            Added(token["content"], token["id"], **{name: bool(token.get(name)) for name in names})
            for token in whole.get("added_tokens") or []
        ]
        head, tail = self._post_processor(whole.get("post_processor"))
        return Bpe(
            vocabulary=vocabulary,
            merges=merges,
            added=added,
            byte_level=byte_level,
            byte_fallback=byte_fallback,
            ignore_merges=bool(model.get("ignore_merges")),
            unknown=-1 if unknown is None else vocabulary[unknown],
            fuse_unknown=bool(model.get("fuse_unk")),
            nfc=nfc,
            prefix=prefix if prefix != "never" else cut_prefix,
            replace=self.normalizer_replaces,
            first_only=first_only,
            cuts=cuts,
            strip=self._decoder(whole.get("decoder"), byte_level),
            head=head,
            tail=tail,
        )

    def _normalization(self, normalizers: list[dict[str, Any]], byte_level: bool) -> tuple[bool, Any]:
        """Whether to normalize to NFC, and when to put a space in front."""
        supported = "NFC, and of a BPE without ByteLevel: Prepend '▁' and Replace ' ' by '▁'"
        nfc, prefix, replaced = False, "never", False
        for normalizer in normalizers:
            kind = normalizer["type"]
            if kind == "NFC" and not replaced and prefix == "never":
                nfc = True
            elif kind == "Prepend" and normalizer["prepend"] == SPACE and not byte_level and not replaced:
                prefix = "always"
            elif (
                kind == "Replace"
                and normalizer["pattern"] == {"String": " "}
                and normalizer["content"] == SPACE
                and not byte_level
            ):
                replaced = True
            else:
                raise self.refusal("normalizer", kind, supported)
        if prefix != "never" and not replaced:
            raise self.refusal("normalizer", "Prepend", supported)
        self.normalizer_replaces = replaced
        return nfc, prefix

    def _cuts(self, cutters: list[dict[str, Any]], byte_level: bool) -> tuple[list[Cut], Any, bool]:
        """How words are cut, when a space is put in front, and whether only of a text's first part."""
        cuts: list[Cut] = []
        prefix, first_only, replaced = "never", False, self.normalizer_replaces
        supported = "ByteLevel, Digits and Split with the regular expression of GPT-2, Llama 3 or Qwen2, or Metaspace"
        for number, cutter in enumerate(cutters):
            kind = cutter["type"]
            if kind == "Digits" and byte_level:
                cuts.append("digits" if cutter["individual_digits"] else "digit_runs")
            elif kind == "Split" and byte_level:
                pattern = cutter["pattern"].get("Regex")
                if pattern not in REGEXES or cutter["behavior"] != "Isolated" or cutter.get("invert"):
                    raise self.refusal("pre_tokenizer Split", cutter["pattern"], supported)
                cuts.append(REGEXES[pattern])
            elif kind == "ByteLevel":
                if number + 1 < len(cutters) or (cutter["add_prefix_space"] and number):
                    raise self.refusal(
                        "pre_tokenizer", "ByteLevel", "ByteLevel at the end, with add_prefix_space only alone"
                    )
                prefix = "missing" if cutter["add_prefix_space"] else "never"
                if cutter.get("use_regex", True):
                    cuts.append("gpt2")
            elif kind == "Metaspace" and len(cutters) == 1 and cutter["replacement"] == SPACE:
                scheme = cutter.get("prepend_scheme", "always" if cutter.get("add_prefix_space", True) else "never")
                prefix, first_only = ("never" if scheme == "never" else "missing"), scheme == "first"
                replaced = True
                if cutter.get("split", True):
                    cuts.append("spaces")
            else:
                raise self.refusal("pre_tokenizer", kind, supported)
        if not byte_level and not replaced:
            raise self.refusal("pre_tokenizer", None, supported)
        return cuts, prefix, first_only

    def _decoder(self, decoder: dict[str, Any] | None, byte_level: bool) -> Literal["nothing", "one", "all"]:
        parts = _flat(decoder, "decoders")
        kinds = [part["type"] for part in parts]
        if byte_level and kinds == ["ByteLevel"]:
            return "nothing"
        if kinds == ["Metaspace"] and not byte_level:
            return "nothing" if parts[0].get("prepend_scheme") == "never" else "all"
        if kinds in (["Replace", "ByteFallback", "Fuse"], ["Replace", "ByteFallback", "Fuse", "Strip"]):
            strip = parts[3] if len(parts) == 4 else {"content": " ", "start": 0, "stop": 0}
            replace = parts[0]["pattern"] == {"String": SPACE} and parts[0]["content"] == " "
            if replace and strip["content"] == " " and strip["start"] in (0, 1) and strip["stop"] == 0:
                return "one" if strip["start"] else "nothing"
        raise self.refusal(
            "decoder", kinds, "ByteLevel, Metaspace, or Replace with ByteFallback, Fuse and perhaps Strip"
        )

    def _post_processor(self, processor: dict[str, Any] | None) -> tuple[list[int], list[int]]:
        """The ids that are put before and after a text."""
        head: list[int] = []
        tail: list[int] = []
        for part in _flat(processor, "processors"):
            if part["type"] == "TemplateProcessing":
                sides = [head, tail]
                for item in part["single"]:
                    if "Sequence" in item:
                        sides.pop(0)
                    else:
                        sides[0].extend(part["special_tokens"][item["SpecialToken"]["id"]]["ids"])
            elif part["type"] != "ByteLevel":  # it changes offsets only
                raise self.refusal("post_processor", part["type"], "TemplateProcessing and ByteLevel")
        return head, tail


def _flat(part: dict[str, Any] | None, name: str) -> list[dict[str, Any]]:
    """The parts of a sequence, also of nested ones."""
    if part is None:
        return []
    if part["type"] == "Sequence":
        return [inner for one in part[name] for inner in _flat(one, name)]
    return [part]
