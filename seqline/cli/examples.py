"""Examples in the help of the commands."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

Command = TypeVar("Command", bound=Callable[..., Any])


def examples(*lines: str) -> Callable[[Command], Command]:
    """Gives a command examples, which its help shows; a test parses them.

    Args:
        *lines: Command lines.
    """

    def add(command: Command) -> Command:
        command.examples = lines  # type: ignore[attr-defined]
        return command

    return add


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yields all commands below a group, with their words.

    Args:
        group: A group of click, as `typer.main.get_command` makes it.
        path: The group's own words.
    """
    for name, command in group.commands.items():
        words = (*path, name)
        if hasattr(command, "commands"):
            yield from commands(command, words)
        else:
            yield words, command


def show_examples(group: Any) -> Any:
    """Makes the help of all commands below a group end with their examples.

    Args:
        group: As in `commands`.

    Returns:
        The same group.
    """
    for _, command in commands(group):
        lines = getattr(command.callback, "examples", ())
        if lines:
            command.format_epilog = _formatter(lines)
    return group


def _formatter(lines: tuple[str, ...]) -> Callable[[Any, Any], None]:
    def format_epilog(context: Any, formatter: Any) -> None:
        with formatter.section("Examples"):
            for line in lines:
                # Not wrapped: it is to be copied.
                formatter.write(f"{' ' * formatter.current_indent}{line}\n")

    return format_epilog
