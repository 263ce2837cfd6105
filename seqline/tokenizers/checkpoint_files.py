"""Reading the tokenizer of a pretrained checkpoint: the files beside its weights, as transformers writes them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from seqline.artifacts.text_tokenizer import MODEL, Prompt, TextTokenizer, encoded
from seqline.errors import UserError
from seqline.inputs.storage import fsspec
from seqline.tokenizers.bpe import KINDS, Bpe, read_bpe
from seqline.tokenizers.characters import character_ranges
from seqline.tokenizers.host import BPE
from seqline.tokenizers.sentencepiece_files import TARGET, VOCABULARY, processor, without_symbols

SPIECE, SOURCE = "spiece.model", "source.spm"
CONFIG, TOKENIZER_CONFIG, SPECIAL, ADDED = (
    "config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
TEMPLATE = "chat_template.jinja"
FILES = (BPE, MODEL, SPIECE, SOURCE, TARGET, VOCABULARY, CONFIG, TOKENIZER_CONFIG, SPECIAL, ADDED, TEMPLATE)
"""The files of a checkpoint that its tokenizer is made of."""
_EXTRA_IDS = 100


@dataclass(frozen=True)
class PretrainedTokenizer:
    """A checkpoint's tokenizer, and what its templates need.

    Attributes:
        tokenizer: The tokenizer, without a prompt.
        symbols: Id of each special token by its text.
        names: Text of the special tokens by name, such as eos_token.
        chat_template: The chat template in Jinja; empty if there is none.
        head: Ids that begin every text.
        continues: Whether a target continues its source, as in a causal language model.
    """

    tokenizer: TextTokenizer
    symbols: dict[str, int]
    names: dict[str, str] = field(default_factory=dict)
    chat_template: str = ""
    head: list[int] = field(default_factory=list)
    continues: bool = False


def has_tokenizer(folder: str) -> bool:
    """Whether a checkpoint's folder has the file of a tokenizer.

    Args:
        folder: The folder, local or by fsspec (gs://).
    """
    system, root = fsspec.core.url_to_fs(folder)
    return any(system.exists(f"{root.rstrip('/')}/{name}") for name in (BPE, MODEL, SPIECE, SOURCE))


def read_folder(folder: str) -> PretrainedTokenizer:
    """Reads a checkpoint's tokenizer.

    Args:
        folder: The checkpoint's folder, local or by fsspec (gs://).

    Raises:
        UserError: As for `read_files`, or if the folder cannot be read.
    """
    files = {}
    for name in FILES:
        path = f"{folder.rstrip('/')}/{name}"
        try:
            with fsspec.open(path, "rb") as file:
                files[name] = bytes(file.read())
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UserError(f"tokenizer: {path} cannot be read: {error.strerror or error}") from None
    return read_files(files, folder)


def is_of_folder(tokenizer: TextTokenizer, folder: str) -> bool:
    """Whether a tokenizer, whatever its prompt, is that of a checkpoint.

    Args:
        tokenizer: The tokenizer.
        folder: The checkpoint's folder, local or by fsspec (gs://).

    Raises:
        UserError: As `read_folder` does.
    """
    if tokenizer.kind == "bpe":
        # The file says it all, and where a model is trained the library that reads it may be missing.
        try:
            with fsspec.open(f"{folder.rstrip('/')}/{BPE}", "rb") as file:
                return bool(file.read() == tokenizer.file(BPE))
        except FileNotFoundError:
            return False
    try:
        found = read_folder(folder)
    except ModuleNotFoundError:
        return False  # without the library only a byte-pair encoding cannot be read
    return replace(found.tokenizer, prompt=Prompt()) == replace(tokenizer, prompt=Prompt())


def read_files(files: dict[str, bytes], origin: str) -> PretrainedTokenizer:
    """Makes a checkpoint's tokenizer of its files.

    Args:
        files: Content by name; see `FILES`.
        origin: Where they come from, for messages.

    Raises:
        UserError: If a file is missing or broken, or the tokenizer is of a kind that is not supported.
    """
    settings = _Settings(files, origin)
    if SOURCE in files:
        return _marian(files, settings)
    refused: UserError | None = None
    if BPE in files and not (SPIECE in files and _kind(files[BPE]) == "Unigram"):
        try:
            return _bpe(files[BPE], settings)
        except UserError as error:
            refused = error
    for name in (SPIECE, MODEL):
        if name in files:
            try:
                return _sentencepiece(files[name], settings, t5=name == SPIECE)
            except UserError as error:
                # Why tokenizer.json, which most checkpoints have, is not supported says more.
                raise refused or error from None
    if refused:
        raise refused
    raise UserError(
        f"tokenizer: {origin} has none of tokenizer.json, tokenizer.model, spiece.model and source.spm; "
        f"supported: {KINDS}"
    )


class _Settings:
    """The JSON files beside a tokenizer: its special tokens."""

    def __init__(self, files: dict[str, bytes], origin: str) -> None:
        self.origin = origin
        self.config = self._json(files, CONFIG)
        self.tokenizer = self._json(files, TOKENIZER_CONFIG)
        named = {**self._json(files, SPECIAL), **{k: v for k, v in self.tokenizer.items() if v is not None}}
        self.names = {
            name: _content(named[name])
            for name in ("bos_token", "eos_token", "unk_token", "pad_token")
            if named.get(name)
        }
        extra = named.get("additional_special_tokens") or named.get("extra_special_tokens") or []
        self.additional = [_content(token) for token in (extra.values() if isinstance(extra, dict) else extra)]
        self.added = {
            _content(token): int(id_) for id_, token in (self.tokenizer.get("added_tokens_decoder") or {}).items()
        } | self._json(files, ADDED)
        template: Any = files[TEMPLATE].decode() if TEMPLATE in files else self.tokenizer.get("chat_template") or ""
        if isinstance(template, list):
            template = {one["name"]: one["template"] for one in template}.get("default", "")
        self.chat_template = str(template)

    def _json(self, files: dict[str, bytes], name: str) -> dict[str, Any]:
        try:
            found = json.loads(files.get(name) or b"{}")
        except ValueError as error:
            raise UserError(f"tokenizer: {self.origin}/{name} is no JSON ({error}); copy it again") from None
        return found if isinstance(found, dict) else {}

    def id_of(self, name: str, known: dict[str, int]) -> int:
        """The id of a special token such as eos; -1 if there is none."""
        text = self.names.get(f"{name}_token")
        if text is not None:
            if text not in known:
                raise UserError(
                    f"tokenizer: {self.origin} names {text!r} as its {name}_token, which has no id; copy it again"
                )
            return known[text]
        found = self.config.get(f"{name}_token_id")
        found = found[0] if isinstance(found, list) and found else found
        return found if isinstance(found, int) else -1

    def special_ids(self, known: dict[str, int], unknown_id: int = -1) -> tuple[int, int, int, int]:
        """The ids of pad, unknown, begin and end."""
        end = self.id_of("eos", known)
        if end < 0:
            raise UserError(
                f"tokenizer: {self.origin} has no end token (eos_token in {TOKENIZER_CONFIG}, or eos_token_id in "
                f"{CONFIG}); name it there"
            )
        pad, unknown = self.id_of("pad", known), self.id_of("unk", known)
        # Many language models have no padding token: the end token is used, as their training did.
        return (end if pad < 0 else pad), (unknown_id if unknown < 0 else unknown), self.id_of("bos", known), end


def _content(token: Any) -> str:
    return str(token["content"] if isinstance(token, dict) else token)


def _kind(content: bytes) -> str:
    try:
        return str(json.loads(content)["model"].get("type", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


def _bpe(content: bytes, settings: _Settings) -> PretrainedTokenizer:
    bpe: Bpe = read_bpe(content, f"tokenizer: {settings.origin}/{BPE}")
    known = bpe.vocabulary | {token.content: token.id for token in bpe.added}
    pad, unknown, begin, end = settings.special_ids(known, bpe.unknown)
    if bpe.tail not in ([], [end]):
        raise UserError(
            f"tokenizer: {settings.origin}/{BPE}: the post_processor puts other tokens than the end token after a "
            "text; this is not supported"
        )
    special = {*bpe.special, *(id_ for id_ in (begin, end) if id_ >= 0)}
    tokenizer = TextTokenizer(
        "bpe",
        {BPE: encoded(content)},
        bpe.size,
        pad,
        unknown,
        begin,
        end,
        sorted(special),
        characters=character_ranges(),
    )
    symbols = {token.content: token.id for token in bpe.added}
    return _pretrained(tokenizer, symbols, settings, head=bpe.head, continues=True)


def _sentencepiece(model: bytes, settings: _Settings, t5: bool) -> PretrainedTokenizer:
    found = _processor(model, SPIECE if t5 else MODEL, settings)
    size = found.vocab_size()
    pieces = {found.id_to_piece(id_): id_ for id_ in range(size)}
    symbols = {piece: id_ for piece, id_ in pieces.items() if found.is_control(id_) or found.is_unknown(id_)}
    symbols |= {piece: pieces[piece] for piece in settings.additional if piece in pieces}
    symbols |= {piece: id_ for piece, id_ in settings.added.items() if pieces.get(piece, id_) == id_}
    if t5 and not settings.added:
        # As T5Tokenizer numbers them: from the end, behind the model's pieces.
        extra = int(settings.tokenizer.get("extra_ids", _EXTRA_IDS if "<extra_id_0>" not in pieces else 0))
        symbols |= {f"<extra_id_{number}>": size + extra - 1 - number for number in range(extra)}
    model = without_symbols(model, set(symbols))
    pad, unknown, begin, end = settings.special_ids(pieces | symbols, found.unk_id())
    special = sorted({*symbols.values(), *(id_ for id_ in (pad, unknown, begin, end) if id_ >= 0)})
    head = [begin] if not t5 and begin >= 0 and settings.tokenizer.get("add_bos_token", True) else []
    tokenizer = TextTokenizer(
        "sentencepiece",
        {MODEL: encoded(model)},
        1 + max(size - 1, *symbols.values()),
        pad,
        unknown,
        begin,
        end,
        special,
    )
    return _pretrained(tokenizer, symbols, settings, head=head, continues=not t5)


def _processor(model: bytes, name: str, settings: _Settings) -> Any:
    try:
        return processor(model)
    except UserError:
        raise UserError(f"tokenizer: {settings.origin}/{name} is no SentencePiece model; copy it again") from None


def _marian(files: dict[str, bytes], settings: _Settings) -> PretrainedTokenizer:
    if missing := [name for name in (TARGET, VOCABULARY) if name not in files]:
        raise UserError(f"tokenizer: {settings.origin} has source.spm but no {missing[0]}; copy it again")
    for name in (SOURCE, TARGET):
        _processor(files[name], name, settings)
    if settings.tokenizer.get("separate_vocabs"):
        raise UserError(f"tokenizer: {settings.origin} has separate_vocabs, which is not supported; supported: {KINDS}")
    try:
        numbers: dict[str, int] = json.loads(files[VOCABULARY])
        size = 1 + max(numbers.values())
    except (ValueError, AttributeError, TypeError):
        raise UserError(f"tokenizer: {settings.origin}/{VOCABULARY} is no table of ids; copy it again") from None
    # As MarianTokenizer names them.
    names = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    settings.names = {**names, **settings.names}
    settings.names.pop("bos_token", None)
    pad, unknown, _, end = settings.special_ids(numbers)
    codes = {piece: id_ for piece, id_ in numbers.items() if piece.startswith(">>") and piece.endswith("<<")}
    symbols = codes | {settings.names[name]: numbers[settings.names[name]] for name in names}
    tokenizer = TextTokenizer(
        "sentencepiece",
        {
            MODEL: encoded(without_symbols(files[SOURCE], set(symbols))),
            TARGET: encoded(files[TARGET]),
            VOCABULARY: encoded(json.dumps(numbers, ensure_ascii=False).encode()),
        },
        size,
        pad,
        unknown,
        -1,
        end,
        sorted({pad, unknown, end}),
    )
    return _pretrained(tokenizer, symbols, settings)


def _pretrained(
    tokenizer: TextTokenizer,
    symbols: dict[str, int],
    settings: _Settings,
    head: Iterable[int] = (),
    continues: bool = False,
) -> PretrainedTokenizer:
    names = dict(settings.names)
    tokenizer = replace(tokenizer, prompt=replace(tokenizer.prompt, head=list(head)))
    return PretrainedTokenizer(tokenizer, symbols, names, settings.chat_template, list(head), continues)
