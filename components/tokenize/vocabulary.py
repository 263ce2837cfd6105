"""Training and loading the SentencePiece tokenizer."""

import io
import json
import re
import tempfile
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import sentencepiece

from seqline.artifacts.text_tokenizer import TextTokenizer, is_record
from seqline.components.tokenize.normalization_rules import sentencepiece_rules
from seqline.components.tokenize.options import Options
from seqline.errors import UserError
from seqline.inputs.files import is_folder
from seqline.inputs.storage import fsspec
from seqline.pretrained.hub import SCHEME
from seqline.pretrained.source import find, opened
from seqline.protobuf import Fields, message_classes
from seqline.schema.auto import number
from seqline.tokenizers.checkpoint_files import read_folder
from seqline.tokenizers.host import HostTokenizer, read_tokenizer
from seqline.tokenizers.prompts import with_template, with_text

PAD, UNKNOWN, BEGIN, END = range(4)

# The result depends on the number of threads, not on the number of cores.
_THREADS = 16
# SentencePiece leaves out longer texts. A character has at most four bytes.
_LONGEST_BYTES = 16384
_PART = re.compile(rf"\S.{{0,{_LONGEST_BYTES // 4 - 1}}}(?!\S)|\S.{{0,{_LONGEST_BYTES // 4 - 1}}}", re.DOTALL)


def train_tokenizer(texts: Iterable[str], options: Options) -> bytes:
    """Trains a unigram or BPE model with byte fallback, one vocabulary for both languages.

    Args:
        texts: Cleaned texts of both sides, in a fixed order: the same texts give the same bytes.
        options: model_type, vocabulary_size, character_coverage and split_digits are used.

    Returns:
        The serialized SentencePiece model.

    Raises:
        UserError: The vocabulary is too small for the characters of the texts.
    """
    model = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "rules.tsv"
        rules.write_text(sentencepiece_rules(), encoding="ascii")
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=short_parts(texts),
                model_writer=model,
                model_type=options.model_type,
                vocab_size=number(options.vocabulary_size),
                hard_vocab_limit=False,
                character_coverage=options.character_coverage,
                byte_fallback=True,
                split_digits=options.split_digits,
                normalization_rule_tsv=str(rules),
                max_sentence_length=_LONGEST_BYTES,
                num_threads=_THREADS,
                pad_id=PAD,
                unk_id=UNKNOWN,
                bos_id=BEGIN,
                eos_id=END,
                minloglevel=1,
            )
        except (RuntimeError, ValueError) as error:
            needed = re.search(r"smaller than required_chars.* vs (\d+)", str(error))
            if not needed:
                raise
            raise UserError(
                f"vocabulary_size={options.vocabulary_size} is too small: the characters alone need {needed[1]}; "
                "raise it, or lower character_coverage"
            ) from None
    return _without_path(model.getvalue())


def short_parts(texts: Iterable[str]) -> Iterator[str]:
    """Splits texts that are too long for SentencePiece, at spaces where there are any.

    Args:
        texts: Texts of any length.
    """
    for text in texts:
        if 4 * len(text) <= _LONGEST_BYTES:
            yield text
        else:
            yield from _PART.findall(text)


@lru_cache(maxsize=2)
def load(model: bytes) -> sentencepiece.SentencePieceProcessor:
    """Returns the processor of a serialized model, loaded once in a process."""
    return sentencepiece.SentencePieceProcessor(model_proto=model)


def listing(content: bytes) -> str:
    """Returns the tokens and their scores, one a line, in the form of SentencePiece's own .vocab files.

    Line breaks and tabs of a token are written as JSON does.

    Args:
        content: The tokenizer's file.
    """
    if is_record(content):
        return "".join(f"{json.dumps(piece, ensure_ascii=False)[1:-1]}\t0\n" for piece in pieces_of(content))
    processor = load(content)
    tokens = range(processor.vocab_size())
    return "".join(f"{_one_line(processor.id_to_piece(token))}\t{processor.get_score(token):g}\n" for token in tokens)


def _one_line(piece: str) -> str:
    """A token without line breaks and tabs, which `user_defined_symbols` may have."""
    return json.dumps(piece, ensure_ascii=False)[1:-1] if set("\t\n\r") & set(piece) else piece


def pieces_of(content: bytes) -> list[str]:
    """Returns the text of each token.

    Args:
        content: The tokenizer's file, a `TextTokenizer`.
    """
    return HostTokenizer(read_tokenizer(content)).pieces()


def check_prompt(content: bytes, options: Options) -> None:
    """Checks that the prompt leaves room for sources that are truncated.

    Args:
        content: The tokenizer's file.
        options: max_tokens is used, and whether sources are truncated.

    Raises:
        UserError: If it does not.
    """
    prompt = HostTokenizer(read_tokenizer(content)).prompt_tokens()
    if options.truncates_sources and prompt >= options.max_tokens:
        raise UserError(
            f"the prompt alone has {prompt} tokens, and max_tokens is {options.max_tokens}: raise max_tokens, or "
            "shorten the template"
        )


def given_tokenizer(options: Options) -> bytes:
    """Reads the tokenizer that the options name, with their prompt.

    Args:
        options: tokenizer, template and chat are used.

    Returns:
        The content of the corpus's tokenizer file; nothing if one is to be trained.

    Raises:
        UserError: If it cannot be read, is not supported, or has no chat template.
    """
    if not options.tokenizer:
        return b""
    if options.tokenizer.startswith(SCHEME):
        with opened(find(options.tokenizer, "tokenizer"), weights=False) as folder:
            found = read_folder(str(folder))
    elif is_folder(options.tokenizer):
        found = read_folder(options.tokenizer)
    elif options.chat:
        raise UserError(
            f"chat: {options.tokenizer} is a file, which has no chat template; set tokenizer to the folder of a "
            "pretrained checkpoint, or omit chat"
        )
    else:
        return with_prompt(read_model(options.tokenizer), options)
    return with_template(found, options.template, options.chat).to_bytes()


def with_prompt(model: bytes, options: Options) -> bytes:
    """Returns the tokenizer's file of a SentencePiece model of our own: the model, or a record with the template.

    Args:
        model: The model.
        options: template is used.
    """
    if not options.template:
        return model
    return with_text(TextTokenizer.of_model(model, load(model).vocab_size()), options.template).to_bytes()


def read_model(path: str) -> bytes:
    """Reads a SentencePiece model that was trained elsewhere.

    Args:
        path: Local or a URL.

    Returns:
        The serialized SentencePiece model.

    Raises:
        UserError: It cannot be read, is not a SentencePiece model, or has other ids of the special tokens.
    """
    try:
        with fsspec.open(path, "rb") as file:
            model = bytes(file.read())
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    except OSError as error:
        raise UserError(f"tokenizer: {path} cannot be read: {error.strerror or error}") from None
    except RuntimeError:
        raise UserError(
            f"tokenizer: {path} is not a SentencePiece model; give a file such as tokenizer.model, or the folder of a "
            "pretrained checkpoint"
        ) from None
    found = (processor.pad_id(), processor.unk_id(), processor.bos_id(), processor.eos_id())
    if found != (PAD, UNKNOWN, BEGIN, END):
        raise UserError(
            f"tokenizer: {path} has pad, unknown, begin and end at {found}, not at (0, 1, 2, 3); train it with "
            "--pad_id=0 --unk_id=1 --bos_id=2 --eos_id=3, or give the folder of the checkpoint that it belongs to"
        )
    return model


def _without_path(model: bytes) -> bytes:
    """Removes the path of the rules file, which differs from run to run, from a model."""
    # All other fields are unknown here, and stay as they are.
    messages: dict[str, Fields] = {
        "NormalizerSpec": {"normalization_rule_tsv": (6, "string", False)},
        "Model": {"normalizer_spec": (3, "NormalizerSpec", False)},
    }
    parsed = message_classes("seqline.rules", messages, syntax="proto2")["Model"].FromString(model)
    parsed.normalizer_spec.ClearField("normalization_rule_tsv")
    return bytes(parsed.SerializeToString(deterministic=True))
