"""Carries out a workflow of Google's Workflows, as far as Seqline's use the syntax; what it does not know is an error.

The rules are those of https://cloud.google.com/workflows/docs/reference/syntax and its pages, of the standard library
(https://cloud.google.com/workflows/docs/reference/stdlib/overview) and of https://cloud.google.com/workflows/quotas.
"""

import ast
import datetime
import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml

SOURCE_LIMIT = 128 * 1024
EXPRESSION_LIMIT = 400
MEMORY_LIMIT = 512 * 1024
STEPS = {
    frozenset({"assign"}),
    frozenset({"switch"}),
    frozenset({"next"}),
    frozenset({"return"}),
    frozenset({"raise"}),
    frozenset({"for"}),
    frozenset({"call", "args"}),
    frozenset({"call", "args", "result"}),
    frozenset({"try", "retry"}),
    frozenset({"try", "retry", "except"}),
    frozenset({"try", "except"}),
}
CALLS = {"sys.sleep": {"seconds"}, "http.get": {"url", "auth", "query"}, "http.post": {"url", "auth", "query", "body"}}
COMPARE: dict[type, Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Gt: operator.gt,
    ast.Lt: operator.lt,
}


class WorkflowError(Exception):
    """An error that a workflow raises, as the map that `except` gets."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(str(error))
        self.error = dict(error)


@cache
def check_source(source: str) -> Any:
    """Parses a source, and refuses what the service refuses on deployment.

    Raises:
        ValueError: With the reason.
    """
    if len(source.encode()) > SOURCE_LIMIT:
        raise ValueError("the source is larger than 128 KB")
    content = yaml.safe_load(source)
    if set(content) != {"main"} or set(content["main"]) - {"params", "steps"}:
        raise ValueError("main has params and steps")
    _check_steps(content["main"]["steps"])
    for text in _texts(content):
        if "${" in text and not re.fullmatch(r"\$\{.*\}", text, re.DOTALL):
            raise ValueError(f"an expression is the whole value: {text!r}")
        if text.startswith("${"):
            if len(text) > EXPRESSION_LIMIT:
                raise ValueError(f"an expression has at most 400 characters: {text!r}")
            ast.parse(text[2:-1], mode="eval")
    return content


def _check_steps(steps: Any) -> None:
    names = [next(iter(step)) for step in steps]
    if any(len(step) != 1 for step in steps) or len(set(names)) != len(names):
        raise ValueError("each step is a map of one name, and names are unique")
    for step in steps:
        (body,) = step.values()
        if frozenset(body) not in STEPS:
            raise ValueError(f"a step of {sorted(body)}")
        if "for" in body:
            if set(body["for"]) != {"value", "in", "steps"}:
                raise ValueError("a for has value, in and steps")
            _check_steps(body["for"]["steps"])
        if "except" in body:
            _check_steps(body["except"]["steps"])


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(one)


@dataclass
class Execution:
    """One execution.

    Attributes:
        content: From `check_source`.
        http: Carries out a request: verb, url, query, body. It raises `WorkflowError` for a status of 400 or more.
        sleep: Passes time.
        result: What it returned.
    """

    content: Any
    http: Callable[[str, str, Mapping[str, Any], Any], Any]
    sleep: Callable[[float], None]
    result: Any = None
    variables: dict[str, Any] = field(default_factory=dict)

    def run(self, argument: Any) -> Any:
        """Runs it to its end.

        Raises:
            WorkflowError: If it fails.
        """
        (parameter,) = self.content["main"]["params"]
        self.variables = {parameter: argument}
        self._steps(self.content["main"]["steps"])
        return self.result

    def _steps(self, steps: Any) -> str:
        """Runs steps: the name of a step outside of them to go on with, or an empty text."""
        names = [next(iter(step)) for step in steps]
        index = 0
        while index < len(steps):
            target = self._step(steps[index][names[index]])
            if target in names:
                index = names.index(target)
            elif target:
                return target
            else:
                index += 1
        return ""

    def _step(self, body: Any) -> str:
        if "assign" in body:
            for one in body["assign"]:
                ((name, value),) = one.items()
                self.variables[name] = self._value(value)
            if len(json.dumps(self.variables, default=str)) > MEMORY_LIMIT:
                raise WorkflowError({"tags": ["ResourceLimitError"], "message": "memory"})
            return ""
        if "switch" in body:
            for case in body["switch"]:
                if self._value(case["condition"]) is True:
                    return self._step({key: value for key, value in case.items() if key != "condition"})
            return ""
        if "for" in body:
            return self._for(body["for"])
        if "try" in body:
            return self._try(body)
        if "call" in body:
            return self._call(body)
        if "steps" in body:
            return self._steps(body["steps"])
        if "raise" in body:
            raise WorkflowError(self._value(body["raise"]))
        if "return" in body:
            self.result = self._value(body["return"])
            return "end"
        return str(body["next"])

    def _for(self, loop: Any) -> str:
        # Variables that are first assigned within a loop are its own.
        before = set(self.variables)
        for item in self._value(loop["in"]):
            self.variables[loop["value"]] = item
            target = self._steps(loop["steps"])
            if target not in ("", "continue"):
                self.variables = {name: value for name, value in self.variables.items() if name in before}
                return "" if target == "break" else target
        self.variables = {name: value for name, value in self.variables.items() if name in before}
        return ""

    def _try(self, body: Any) -> str:
        # http.default_retry: at most five times, for 429, 502, 503, 504 and broken connections.
        for attempt in range(5):
            try:
                return self._step(body["try"])
            except WorkflowError as error:  # noqa: PERF203
                again = error.error.get("code") in (429, 502, 503, 504) or "ConnectionError" in error.error["tags"]
                if "retry" in body and again and attempt < 4:
                    continue
                if "except" not in body:
                    raise
                self.variables[body["except"]["as"]] = error.error
                return self._steps(body["except"]["steps"])
        raise AssertionError

    def _call(self, body: Any) -> str:
        arguments = self._value(body["args"])
        if set(arguments) - CALLS[body["call"]]:
            raise ValueError(f"{body['call']} takes {CALLS[body['call']]}")
        if body["call"] == "sys.sleep":
            self.sleep(arguments["seconds"])
            return ""
        # Without it, a request to a Google API has no credentials.
        assert arguments["auth"] == {"type": "OAuth2"}
        verb = body["call"].removeprefix("http.").upper()
        answer = self.http(verb, arguments["url"], arguments.get("query", {}), arguments.get("body"))
        self.variables[body["result"]] = {"code": 200, "body": answer, "headers": {}}
        return ""

    def _value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._value(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._value(one) for one in value]
        if isinstance(value, str) and value.startswith("${"):
            return self._expression(_parse(value[2:-1].strip()))
        return value

    def _expression(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant():
                return node.value
            case ast.List():
                return [self._expression(one) for one in node.elts]
            case ast.Name():
                return self.variables[node.id]
            case ast.Attribute() if ast.unparse(node) == "http.default_retry":
                return "http.default_retry"
            case ast.Attribute():
                found = self._expression(node.value)
                if node.attr not in found:
                    raise WorkflowError({"tags": ["KeyError"], "message": f"key not found: {node.attr}"})
                return found[node.attr]
            case ast.BoolOp():
                values = (self._expression(one) for one in node.values)
                return any(values) if isinstance(node.op, ast.Or) else all(values)
            case ast.UnaryOp(op=ast.Not()):
                return not self._expression(node.operand)
            case ast.BinOp():
                left, right = self._expression(node.left), self._expression(node.right)
                numbers = all(isinstance(one, int | float) for one in (left, right))
                texts = isinstance(left, str) and isinstance(right, str)
                if not (numbers or (texts and isinstance(node.op, ast.Add))):
                    raise WorkflowError({"tags": ["TypeError"], "message": ast.unparse(node)})
                return left + right if isinstance(node.op, ast.Add) else left - right
            case ast.Compare(ops=[sign]):
                left, right = self._expression(node.left), self._expression(node.comparators[0])
                # Only numbers have an order.
                assert isinstance(sign, ast.Eq | ast.NotEq) or not isinstance(left, str)
                return COMPARE[type(sign)](left, right)
            case ast.Call():
                return FUNCTIONS[ast.unparse(node.func)](*map(self._expression, node.args))
        raise ValueError(f"not an expression of Workflows here: {ast.unparse(node)}")


@cache
def _parse(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _parse_time(text: str) -> float:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "json.decode": json.loads,
    "text.match_regex": lambda text, pattern: re.search(pattern, text) is not None,
    "default": lambda value, other: other if value is None else value,
    "map.get": lambda found, key: found.get(key),
    "time.parse": _parse_time,
    "int": int,
}
