"""Prompts: a template for the source, and the checkpoint's chat template, rendered once for the task."""

import datetime
from dataclasses import replace

from seqline.artifacts.text_tokenizer import FIELD, ChatTemplate, Prompt, TextTokenizer, check_template
from seqline.errors import UserError
from seqline.tokenizers.chats import asks_for_date, render, split_at
from seqline.tokenizers.checkpoint_files import PretrainedTokenizer
from seqline.tokenizers.host import HostTokenizer

DEFAULT = "{source}\n"
"""For a causal language model without a template: a text has no line break, so one shows where the source ends."""
# A private character, so that no template and no tokenizer treats it as a letter or a space.
_SOURCE = "\uf8ffsource\uf8ff"


def with_template(
    pretrained: PretrainedTokenizer, template: str, chat: bool, today: datetime.date | None = None
) -> TextTokenizer:
    """Returns a checkpoint's tokenizer with a prompt.

    A chat template that asks for the date gets today's, and the tokenizer's file holds it for all later prompts.

    Args:
        pretrained: The tokenizer.
        template: A text with {source}; empty for none.
        chat: Whether it is the user's message in the checkpoint's chat template.
        today: The date; None for the current one (UTC).

    Raises:
        UserError: If the template has no {source}, or there is no chat template.
    """
    check_template(template)
    if not template and not chat and not pretrained.continues:
        return pretrained.tokenizer
    template = template or (FIELD if chat else DEFAULT)
    text = template.replace(FIELD, _SOURCE)
    date = ""
    if chat:
        if asks_for_date(pretrained.chat_template):
            date = (today or datetime.datetime.now(datetime.timezone.utc).date()).isoformat()
        text = _render(pretrained, text, date)
    stripped = text.rstrip(" ") if pretrained.continues else text
    target = text[len(stripped) :]
    parts = split_at(stripped, pretrained.symbols)
    place = next(number for number, part in enumerate(parts) if isinstance(part, str) and _SOURCE in part)
    before, after = str(parts[place]).split(_SOURCE)
    ids = _ids(parts, pretrained.tokenizer)
    head, tail = ids[:place], ids[place + 1 :]
    flat = [id_ for part in head for id_ in part]
    # A chat template usually has the beginning token, which must not be there twice.
    begun = flat[: len(pretrained.head)] == pretrained.head
    prompt = Prompt(
        head=flat if begun or chat else [*pretrained.head, *flat],
        before=before,
        after=after,
        tail=[id_ for part in tail for id_ in part],
        target=target,
        template=template,
        chat=chat,
        inside=place > 0,
        conversation=ChatTemplate(pretrained.chat_template, pretrained.names, pretrained.symbols, template, date)
        if chat
        else None,
    )
    return replace(pretrained.tokenizer, prompt=prompt)


def with_text(tokenizer: TextTokenizer, template: str) -> TextTokenizer:
    """Returns a tokenizer of our own with a template, in which nothing is a special token.

    Args:
        tokenizer: The tokenizer.
        template: A text with {source}.

    Raises:
        UserError: If the template has no {source}.
    """
    check_template(template)
    before, _, after = template.partition(FIELD)
    return replace(tokenizer, prompt=Prompt(before=before, after=after, template=template))


def _ids(parts: list[str | int], tokenizer: TextTokenizer) -> list[list[int]]:
    """The ids of each part; none of the part with the source."""
    first, later = (HostTokenizer(replace(tokenizer, prompt=Prompt(inside=inside))) for inside in (False, True))
    found = []
    for number, part in enumerate(parts):
        if isinstance(part, int):
            found.append([part])
        elif _SOURCE in part:
            found.append([])
        else:
            found += (later if number else first).library.encode([part])
    return found


def _render(pretrained: PretrainedTokenizer, message: str, date: str) -> str:
    """Renders the chat template with one message."""
    if not pretrained.chat_template:
        raise UserError(
            "chat: the checkpoint has no chat template (chat_template.jinja, or chat_template in "
            "tokenizer_config.json); write the template yourself and leave chat off"
        )

    try:
        text = render(pretrained.chat_template, pretrained.names, [{"role": "user", "content": message}], date)
    except UserError as error:
        raise UserError(f"chat: {error}") from None
    if text.count(_SOURCE) != 1:
        raise UserError(
            f"chat: the checkpoint's chat template contains the message {text.count(_SOURCE)} times, not once; write "
            "the template yourself and leave chat off"
        )
    return text
