"""Lines of text files: a line is what ends with LF, in every command and stage."""

import unicodedata

from seqline.errors import UserError

BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
# Characters that the tokenizer's normalization turns into spaces or removes.
_BLANK = (
    "".join(
        char
        for char in map(chr, range(0x3001))
        if char.isspace() or unicodedata.category(char) == "Cc" or char in "\u200b\u2060"
    )
    + "\ufeff"
)


def split_lines(content: bytes) -> list[bytes]:
    """Splits the bytes of a text file at LF alone; the last line may lack its LF.

    A CR before the LF belongs to the line's end. Any other CR, U+0085, U+2028 and form feeds are characters of a line.

    Args:
        content: The bytes, from the beginning of a line.
    """
    lines = content.split(b"\n")
    return lines if lines[-1] else lines[:-1]


def decode_line(line: bytes, first: bool) -> str:
    """Returns the text of a line, without its end.

    Args:
        line: Its bytes.
        first: Whether it is the first of its file, which may start with a byte order mark.

    Raises:
        UnicodeDecodeError: It is not UTF-8.
    """
    if first:
        while line.startswith(BOM):
            line = line.removeprefix(BOM)
    return line.decode().rstrip("\r\n")


def check_encoding(start: bytes, path: str) -> None:
    """Checks that a text file is not UTF-16, in which no byte means what it means in UTF-8.

    Args:
        start: Its first bytes.
        path: Its name, for the message.

    Raises:
        UserError: It is UTF-16 or UTF-32.
    """
    sample = start[:1024]
    # Most text has ASCII characters, at least spaces: every second of their bytes is zero.
    zeros = max(sample[parity::2].count(0) for parity in (0, 1))
    if sample.startswith(_UTF16) or (len(sample) >= 16 and zeros > 0.45 * len(sample) / 2):
        raise UserError(f"{path}, line 1: the file is UTF-16 or UTF-32; convert it to UTF-8, for example with iconv")


def is_blank(text: str) -> bool:
    """Whether nothing of a text is left after normalization: spaces, control and zero-width characters alone.

    Args:
        text: Any text.
    """
    return not text.strip(_BLANK)
