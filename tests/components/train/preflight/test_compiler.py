"""Checks of jax's private interfaces, and a compiler process that aborts."""

import sys
import types
from pathlib import Path

import pytest

from seqline.components.train.preflight import compiling
from seqline.components.train.preflight.compiler import MissingError, interfaces
from seqline.components.train.preflight.slices import read_slice
from seqline.errors import UserError


def test_a_missing_compiler_is_reported_with_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(MissingError, match=r"not installed \(jax\).*pip install 'seqline\[preflight\]'"):
        interfaces()


def test_a_jax_with_other_interfaces_is_reported_with_the_tested_version(monkeypatch: pytest.MonkeyPatch) -> None:
    other = types.ModuleType("jax")
    other.__version__ = "99.0"  # type: ignore[attr-defined]
    for name, module in (("jax", other), ("libtpu", types.ModuleType("libtpu")), ("jaxlib", None)):
        monkeypatch.setitem(sys.modules, name, module)
    with pytest.raises(MissingError, match=r"jax 99.0 does not have the required interfaces .*tested with jax 0\.10"):
        interfaces()


def test_the_process_without_jax_ends_in_the_same_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jax.py").write_text("raise ImportError('no jax', name='jax')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(UserError, match=r"the TPU compiler is not installed \(jax\)"):
        compiling.compile_for(read_slice("v5e:1x1"), b"")


def test_a_compiler_that_is_killed_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jax.py").write_text("import sys, os; print('Check failed: a < b', file=sys.stderr); os.abort()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = compiling.compile_for(read_slice("v5e:1x1"), b"")
    assert found.error == "the TPU compiler ended with code -6: Check failed: a < b"
