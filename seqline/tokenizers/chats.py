"""Chats: a chat template rendered with messages, and marked so that no text of a message becomes a special token.

A marked text has the id of each special token of the template between two `MARK`s; all else is text. Messages have no
`MARK`: it is a control character, which `clean` replaces.
"""

import datetime
import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from seqline.artifacts.text_tokenizer import FIELD, ChatTemplate
from seqline.errors import UserError
from seqline.normalization import clean

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.nodes import Node
    from jinja2.parser import Parser

MARK = "\x01"
# Private characters, so that no template and no tokenizer treats them as letters or spaces.
_PLACE = "\uf8ff%d\uf8ff"
_PLACES = re.compile("\uf8ff([0-9]+)\uf8ff")


def marked(chat: ChatTemplate, messages: Sequence[tuple[str, str]]) -> str:
    """Renders a chat, up to where the assistant's next message begins.

    Args:
        chat: The chat template.
        messages: Role and content of each message.

    Returns:
        The marked text.

    Raises:
        UserError: If the template refuses the messages, or leaves one out.
    """
    given = []
    for number, (role, _) in enumerate(messages):
        place = _PLACE % number
        content = chat.message.replace(FIELD, place) if role == "user" else place
        given.append({"role": "system" if role == "developer" else role, "content": content})
    # A target begins with the spaces that the template ends with; see `seqline.tokenizers.prompts`.
    text = render(chat.template, chat.names, given, chat.date).rstrip(" ")
    rendered = {int(number) for number in _PLACES.findall(text)}
    for number, (role, _) in enumerate(messages):
        if number not in rendered:
            raise UserError(f"the model's chat template omits message {number}, of role {role}; omit it")
    parts = split_at(text.replace(MARK, " "), chat.symbols)
    whole = "".join(f"{MARK}{part}{MARK}" if isinstance(part, int) else part for part in parts)
    return _PLACES.sub(lambda found: clean(messages[int(found[1])][1]), whole)


def split_at(text: str, symbols: Mapping[str, int]) -> list[str | int]:
    """Cuts a rendered template at its special tokens, longest first.

    Args:
        text: The rendered template.
        symbols: Id of each special token by its text.

    Returns:
        Texts, and ids of special tokens.
    """
    names = sorted(filter(None, symbols), key=len, reverse=True)
    if not names:
        return [text]
    pieces = re.split("(" + "|".join(map(re.escape, names)) + ")", text)
    return [symbols[piece] if number % 2 else piece for number, piece in enumerate(pieces) if piece]


def asks_for_date(template: str) -> bool:
    """Whether a chat template writes the day on which it is rendered.

    Args:
        template: The template in Jinja.
    """
    return "strftime_now" in template


def render(template: str, names: Mapping[str, str], messages: Sequence[Mapping[str, str]], date: str = "") -> str:
    """Renders a chat template, as `apply_chat_template` of transformers does.

    Args:
        template: The template in Jinja.
        names: Text of the special tokens by name.
        messages: The messages.
        date: The day that it writes for today, YYYY-MM-DD; empty for a template that asks for none.

    Raises:
        UserError: If it cannot be rendered.
    """
    import jinja2

    def strftime_now(form: str) -> str:
        if not date:
            raise jinja2.exceptions.TemplateError(
                "it asks for the date, which is not in the tokenizer's file; tokenize again"
            )
        return datetime.date.fromisoformat(date).strftime(form)

    try:
        return _compiled(template).render(
            messages=messages,
            add_generation_prompt=True,
            tools=None,
            documents=None,
            strftime_now=strftime_now,
            **{"bos_token": "", "eos_token": "", **names},
        )
    except (jinja2.exceptions.TemplateError, TypeError, ValueError, LookupError, ArithmeticError) as error:
        raise UserError(f"the model's chat template cannot be rendered: {error}") from None


@lru_cache(maxsize=8)
def _compiled(template: str) -> "Template":
    import jinja2
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise jinja2.exceptions.TemplateError(message)

    def as_json(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, **options)

    class Generation(Extension):
        """The tag around what the model wrote, by which transformers finds these tokens; its content is as without."""

        tags = {"generation"}  # noqa: RUF012 (so declared by jinja)

        def parse(self, parser: "Parser") -> "list[Node]":
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation]
    )
    environment.filters["tojson"] = as_json
    environment.globals["raise_exception"] = refuse
    return environment.from_string(template)
