"""The user's function that removes from texts what may not be stored."""

import importlib
import logging
import re
from collections.abc import Callable

from seqline.errors import UserError

log = logging.getLogger(__name__)

HOOK = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
"""How a function is named: module:function."""


def find_hook(name: str) -> Callable[[str], str]:
    """Imports a function.

    Args:
        name: Such as my_package.privacy:redact.

    Raises:
        UserError: If it is no such name, or there is no such function.
    """
    module, _, function = name.partition(":")
    if not HOOK.fullmatch(name):
        raise UserError(
            f"redact: {name!r} does not name a function; write module:function, as in my_package.privacy:redact"
        )
    try:
        found = getattr(importlib.import_module(module), function)
    except Exception as error:  # a module may raise anything
        raise UserError(
            f"redact: {name} cannot be imported ({type(error).__name__}: {error}); install its package where the "
            "server runs"
        ) from None
    if not callable(found):
        raise UserError(f"redact: {name} is not a function, but a {type(found).__name__}")
    hook: Callable[[str], str] = found
    return hook


class Redaction:
    """Applies the user's function. A text that it fails for is dropped: never is the raw text stored instead.

    Args:
        name: The function's name; empty to store texts as they are.
    """

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._hook: Callable[[str], str] | None = None
        self._failed = False
        if name:
            try:
                self._hook = find_hook(name)
            except UserError as error:
                self._fail(str(error))

    def __call__(self, text: str | None) -> str | None:
        """Returns the text to store, or None where there is none.

        Args:
            text: The text.
        """
        if text is None or not self.name:
            return text
        if self._hook is None:
            return None
        try:
            found = self._hook(text)
        except Exception as error:
            # Without the error's message, which may have the text in it.
            self._fail(f"redact: {self.name} raised {type(error).__name__}")
            return None
        if not isinstance(found, str):
            self._fail(f"redact: {self.name} returned a {type(found).__name__}, not a str")
            return None
        try:
            found.encode()
        except UnicodeEncodeError:
            self._fail(f"redact: {self.name} returned half of a surrogate pair")
            return None
        return found

    def _fail(self, message: str) -> None:
        if not self._failed:
            log.error("%s; such texts are not stored", message)
        self._failed = True
