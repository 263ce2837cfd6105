"""Values that do not travel: KFP passes parameters as JSON whose numbers are doubles."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from seqline.schema.messages import not_text
from seqline.schema.yaml_values import Unquoted

# From here on, two integers can be one double.
LARGEST = 2**53 - 1


def is_utf8(text: str) -> bool:
    """Whether a text can be written as UTF-8: an argument or a file's name of other bytes has surrogates instead.

    Args:
        text: The text.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def unfit(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yields the path of each value that would arrive as another one, or as none, and what is wrong with it.

    Args:
        value: A JSON value.
        path: Its path.
    """
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from unfit(one, (*path, key))
    elif isinstance(value, list | tuple):
        for index, one in enumerate(value):
            yield from unfit(one, (*path, index))
    elif isinstance(value, Unquoted):
        yield path, not_text(value)
    elif isinstance(value, str) and not is_utf8(value):
        yield path, f"is not UTF-8, in which KFP passes texts: {value!r}; rename the file if it names one"
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, f"must be a finite number, not {value}"
    elif isinstance(value, int) and abs(value) > LARGEST:
        digits = str(value) if value.bit_length() < 256 else "one of so many digits"
        yield path, f"must be a whole number up to {LARGEST}, because KFP passes numbers as doubles, not {digits}"
