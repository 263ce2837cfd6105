"""The commands of the documentation, from its fenced blocks."""

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
MARK = re.compile(r'title="Needs ([^"]+)"')
"""The attribute of a block whose commands need a cloud or a cluster; the site shows it above the block."""


@dataclass(frozen=True)
class Block:
    """A fenced block of console or bash.

    Attributes:
        page: The page.
        line: Number of its first line.
        needs: What it needs besides this machine, by its mark; empty for nothing.
        text: Its lines, without indentation.
    """

    page: Path
    line: int
    needs: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def commands(self) -> Iterator[list[str]]:
        """The commands as words, one by one: pipes and lists are split, output and comments are left out."""
        console = re.search(r"(?m)^\$ ", self.text) is not None
        text = re.sub(r"<<'(\w+)'(.*)\n(?:.*\n)*?\1\n", r"\2\n", self.text)  # documents within the command
        for line in _logical_lines(text, console):
            for part in _split(line):
                # Settings before a command.
                while part and re.fullmatch(r"\w+=\S*", part[0]):
                    part = part[1:]
                if part:
                    yield part


def blocks() -> list[Block]:
    """All blocks of all pages."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"(?ms)^( *)```(\w*)( [^\n]*)?\n(.*?)^\1```[ ]*$", text):
            if match[2] not in ("console", "bash", "sh"):
                continue
            mark = MARK.search(match[3] or "")
            line = text.count("\n", 0, match.start()) + 1
            found.append(Block(page, line, mark[1] if mark else "", textwrap.dedent(match[4])))
    return found


def _logical_lines(text: str, console: bool) -> Iterator[str]:
    """Lines with their continuations: after a backslash, or within quotes."""
    pending = ""
    for line in text.splitlines():
        if not pending and console and not line.startswith("$ "):
            continue
        pending += ("\n" if pending else "") + (line if pending else line.removeprefix("$ "))
        if pending.endswith("\\"):
            pending = pending[:-1]
            continue
        try:
            shlex.split(pending, comments=True)
        except ValueError:
            continue
        yield pending
        pending = ""
    assert not pending, f"the quotes of a command are not closed: {pending}"


def _split(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.commenters = "#"
    lexer.whitespace_split = True
    part: list[str] = []
    for word in lexer:
        if set(word) <= set("();<>|&"):
            yield part
            # A file to read from or write to is no command.
            part = ["file"] if set(word) <= set("<>") else []
        else:
            part.append(word)
    yield part
