"""A target of another package: its errors are messages that name it."""

import functools
from collections.abc import Callable
from typing import Any

from seqline.errors import UserError
from seqline.targets.target import UnsupportedError


class PluginTarget:
    """A plugin's target.

    Args:
        name: Its name.
        make: Creates the plugin's own object.
    """

    def __init__(self, name: str, make: Callable[[], Any]) -> None:
        self._name = name
        self._made = self._guarded(make)()

    def __getattr__(self, attribute: str) -> Any:
        """Returns an attribute of the plugin's object.

        Args:
            attribute: Its name.

        Raises:
            UnsupportedError: If it has none of that name.
        """
        if not hasattr(self._made, attribute):
            raise UnsupportedError(f"the target {self._name} does not support this: its class has no {attribute}")
        found = getattr(self._made, attribute)
        return self._guarded(found) if callable(found) else found

    def _guarded(self, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def guarded(*words: Any, **options: Any) -> Any:
            try:
                return call(*words, **options)
            except UserError:
                raise
            except Exception as error:
                hint = "--verbose shows where"
                raise UserError(f"the target {self._name} fails: {type(error).__name__}: {error}; {hint}") from error

        return guarded
