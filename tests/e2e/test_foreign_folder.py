"""A run from a folder with packages of the same names as ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HOSTILE = 'raise RuntimeError("a module of the user\'s folder was imported")\n'
OPTIONS = (
    "preset=demo",
    "epochs=1",
    "vocabulary_size=300",
    "batch_tokens=512",
    "beam_size=1",
    "max_output_length=8",
    "decoded_sample=0",
    'gate=[{"metric": "headline", "minimum": 0}]',
    "endpoint=",
)


@pytest.mark.e2e
def test_no_module_of_the_current_folder_is_imported(pairs_file: Path, tmp_path: Path) -> None:
    for package in ("components", "pipelines"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(HOSTILE)
    # Only stages import these, not the command line.
    for module in ("sentencepiece", "tensorflow", "tensorflow_text", "apache_beam"):
        (tmp_path / f"{module}.py").write_text(HOSTILE)
    pairs = pairs_file.read_text(encoding="utf-8").splitlines(keepends=True)[:60]
    (tmp_path / "pairs.tsv").write_text("".join(pairs), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("seqline")), "run", "--data", "pairs.tsv"]
    done = subprocess.run(
        [*command, *(word for option in OPTIONS for word in ("--set", option))],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / ".seqline" / "runs").is_dir()
