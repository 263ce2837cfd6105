"""The steps of a smoke test on a real service: carried out in order, and taken back whatever fails."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        title: What it shows.
        command: A line of bash.
        undo: The line that takes it back at the end.
    """

    title: str
    command: str
    undo: str = ""


def undoing(done: Sequence[Step]) -> Iterator[Step]:
    """Yields the steps back, the last first."""
    yield from (Step(f"undo: {step.title}", step.undo) for step in reversed(done) if step.undo)


def perform(planned: Sequence[Step], folder: Path, configuration: dict[str, Any], dry_run: bool) -> int:
    """Writes the configuration and carries the steps out, or prints both.

    Args:
        planned: The steps.
        folder: The folder of `seqline.yaml`.
        configuration: Its content.
        dry_run: Whether to print everything and do nothing.

    Returns:
        The exit code.
    """
    content = yaml.safe_dump(json.loads(json.dumps(configuration)), sort_keys=False)
    if dry_run:
        print(f"# {folder}/seqline.yaml\n" + "".join(f"#   {line}\n" for line in content.splitlines()))
        for step in [*planned, *undoing(planned)]:
            print(f"# {step.title}\n{step.command}\n")
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "seqline.yaml").write_text(content, encoding="utf-8")
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return carry_out(planned)


def carry_out(planned: Sequence[Step]) -> int:
    """Carries the steps out, and takes them back in any case.

    Args:
        planned: The steps.

    Returns:
        The exit code: 1 if a step failed, or could not be taken back.
    """
    failed: list[str] = []
    # A step that fails halfway is also taken back.
    begun: list[Step] = []
    try:
        for step in planned:
            begun.append(step)
            if _bash(step):
                failed.append(step.title)
                break
    finally:
        failed += [step.title for step in undoing(begun) if _bash(step)]
    print("failed: " + "; ".join(failed) if failed else "all steps succeeded, and everything was torn down")
    return 1 if failed else 0


def _bash(step: Step) -> int:
    print(f"# {step.title}\n{step.command}", flush=True)
    return subprocess.run(["bash", "-euo", "pipefail", "-c", step.command], check=False).returncode
