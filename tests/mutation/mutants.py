"""The mutants of a module: its source with one small fault each."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

import parso
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator

# One replacement for an arithmetic operator, two for a comparison (the limit itself, and the other side): every pair of
# operators gives ten times as many mutants, which the same tests kill.
BINARY = (
    "Add_Sub Sub_Add Mul_Div Div_Mul FloorDiv_Div Mod_Div Pow_Mul RShift_LShift LShift_RShift "
    "BitOr_BitAnd BitAnd_BitOr BitXor_BitAnd"
)
COMPARISON = "Eq_NotEq NotEq_Eq Lt_LtE Lt_GtE LtE_Lt LtE_Gt Gt_GtE Gt_LtE GtE_Gt GtE_Lt Is_IsNot IsNot_Is"
UNARY = "USub_UAdd Delete_Not Delete_Invert"
OTHER = (
    "AddNot ReplaceTrueWithFalse ReplaceFalseWithTrue ReplaceAndWithOr ReplaceOrWithAnd ReplaceBreakWithContinue "
    "ReplaceContinueWithBreak ExceptionReplacer NumberReplacer RemoveDecorator ZeroIterationForLoop"
)
NAMES = [
    *(f"ReplaceBinaryOperator_{name}" for name in BINARY.split()),
    *(f"ReplaceComparisonOperator_{name}" for name in COMPARISON.split()),
    *(f"ReplaceUnaryOperator_{name}" for name in UNARY.split()),
    *OTHER.split(),
]


@dataclass(frozen=True)
class Mutant:
    """One mutant.

    Attributes:
        source: The module's mutated source.
        line: The first line that differs.
        was: The lines that differ, on one line.
        now: What they became.
    """

    source: str
    line: int
    was: str
    now: str


class RemoveStatement(Operator):  # type: ignore[misc]
    """Replaces a statement that only calls or raises with `pass`; a message to the log is no behaviour."""

    def mutation_positions(self, node: Any) -> Iterator[Any]:
        """Yields the position of the statement, if it is one."""
        statement = node.children[0].type if node.type == "simple_stmt" else ""
        if statement in ("atom_expr", "raise_stmt") and not node.get_code().strip().startswith("log."):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Replaces the statement."""
        first = node.children[0].get_first_leaf()
        node.children[0] = parso.python.tree.Keyword("pass", first.start_pos, prefix=first.prefix)
        return node

    @classmethod
    def examples(cls) -> tuple[()]:
        """None: they test the operators of Cosmic Ray itself."""
        return ()


def mutants(source: str) -> Iterator[Mutant]:
    """Yields the mutants of a module, without those that Python compiles to the same or not at all.

    Args:
        source: The module's source.
    """
    seen, nodes = {ast.dump(ast.parse(source))}, list(ast_nodes(get_ast(source)))
    for operator in [*(get_operator(f"core/{name}")() for name in NAMES), RemoveStatement()]:
        places = [node for node in nodes for _ in operator.mutation_positions(node)]
        for occurrence, node in enumerate(places):
            if _in_annotation(node) or _in_log_message(node) or _is_guard(node):
                continue
            try:
                mutated = mutate_code(source, operator, occurrence)
                tree = ast.dump(ast.parse(mutated))
            except (SyntaxError, AttributeError):  # AttributeError: ExceptionReplacer knows no dotted names
                continue
            if tree not in seen:
                seen.add(tree)
                yield _described(source, mutated)


def _in_annotation(node: Any) -> bool:
    """Whether a node is part of a type, which Python evaluates and nobody reads."""
    while (parent := node.parent) is not None:
        if parent.type in ("annassign", "tfpdef") and node is parent.children[1 if parent.type == "annassign" else -1]:
            return True
        if parent.type == "funcdef" and node is parent.annotation:
            return True
        node = parent
    return False


def _in_log_message(node: Any) -> bool:
    """Whether a node is part of a call of the log, whose text is for people."""
    while node.type != "simple_stmt" and node.parent is not None:
        node = node.parent
    return node.type == "simple_stmt" and node.get_code().strip().startswith("log.")


def _is_guard(node: Any) -> bool:
    """Whether a node is the value of `strict=` or `frozen=`: both raise errors that correct code never meets."""
    parent = node.parent
    return (
        parent is not None
        and parent.type == "argument"
        and parent.children[0].get_code().strip() in {"strict", "frozen"}
    )


def _described(source: str, mutated: str) -> Mutant:
    changed = list(unified_diff(source.splitlines(), mutated.splitlines(), n=0, lineterm=""))[2:]
    was, now = (" ".join(" ".join(one[1:].split()) for one in changed if one[0] == sign) for sign in "-+")
    return Mutant(mutated, int(changed[0].split()[1].lstrip("-").partition(",")[0]), was, now)
