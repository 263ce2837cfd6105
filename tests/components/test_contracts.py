"""What every stage's `component.py` promises."""

import ast
import sys
from pathlib import Path

import pytest

import seqline.components

CONTRACTS = sorted(Path(seqline.components.__file__).parent.resolve().rglob("component.py"))
STAGES = [path.parent.name for path in CONTRACTS]


def test_every_stage_is_looked_at() -> None:
    assert set(STAGES) == {
        "adopt",
        "baseline",
        "best_trial",
        "bless",
        "champion",
        "collect",
        "deploy",
        "evaluate",
        "experiment",
        "export",
        "infer",
        "monitor",
        "plan_trials",
        "preflight",
        "retrain",
        "snapshot",
        "summary",
        "tokenize",
        "train",
        "tune",
    }


@pytest.mark.parametrize("path", CONTRACTS, ids=STAGES)
def test_a_contract_imports_the_standard_library_and_kfp_only(path: Path) -> None:
    imported = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported <= set(sys.stdlib_module_names) | {"kfp"}


@pytest.mark.parametrize("path", CONTRACTS, ids=STAGES)
def test_a_contract_is_not_a_program(path: Path) -> None:
    (function,) = (node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef))
    statements = [node for node in ast.walk(function) if isinstance(node, (ast.For, ast.While, ast.Try))]
    assert not statements
    assert len(function.body) <= 8


@pytest.mark.parametrize("path", CONTRACTS, ids=STAGES)
def test_every_input_and_output_is_described(path: Path) -> None:
    (function,) = (node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef))
    described = ast.get_docstring(function) or ""
    assert [name.arg for name in function.args.args if f"\n    {name.arg}: " not in described] == []
