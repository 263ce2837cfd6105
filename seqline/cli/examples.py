"""The help of the commands: usage as other programs write it, and examples."""

import re
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


def conventional_help(group: Any) -> Any:
    """Makes the help of all commands below a group write arguments as KEY, not {key}, and end with their examples.

    Args:
        group: As in `commands`.

    Returns:
        The same group.
    """
    for _, command in commands(group):
        for parameter in command.params:
            if parameter.param_type_name == "argument":
                parameter.metavar = parameter.metavar or parameter.name.upper()
                # Python's names of types, such as <list[str]>.
                parameter.display_type_rich = _nothing
        command.collect_usage_pieces = _without_braces(command.collect_usage_pieces)
        lines = getattr(command.callback, "examples", ())
        if lines:
            command.format_epilog = _formatter(lines)
    return group


def _nothing(ctx: Any) -> str:
    return ""


def _without_braces(collect: Callable[[Any], list[str]]) -> Callable[[Any], list[str]]:
    """Typer puts braces around required arguments."""
    return lambda context: [re.sub(r"^\{(.+)\}", r"\1", piece) for piece in collect(context)]


def _formatter(lines: tuple[str, ...]) -> Callable[[Any, Any], None]:
    def format_epilog(context: Any, formatter: Any) -> None:
        with formatter.section("Examples"):
            for line in lines:
                # Not wrapped: it is to be copied.
                formatter.write(f"{' ' * formatter.current_indent}{line}\n")

    return format_epilog
