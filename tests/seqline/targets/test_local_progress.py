"""How far the stages of a run on this machine are, in the live table and from another terminal."""

import io
import os
from pathlib import Path

from rich.console import Console

from seqline.cli.log_lines import of_stages
from seqline.cli.watching import Watch
from seqline.configuration import Configuration
from seqline.endpoints.process import start_of
from seqline.progress import FILE, PREFIX, Progress
from seqline.targets.laptop import Laptop
from seqline.targets.local_progress import folder_of, remove, update
from seqline.targets.run_record import write_run
from seqline.targets.target import Run, Task

RECORD = Progress("epoch 3 of 7 (40%)", 0.34, {"loss": 2.31, "valid BLEU": 31.2}, 12345, "target tokens", 130)


def running(root: Path) -> Run:
    """A run whose training runs in this process."""
    run = Run("r", "training", "laptop", "running", 1.0, root=str(root / "runs" / "r"), process=os.getpid())
    run.process_started = start_of(os.getpid())
    run.tasks = [Task("tokenize", "succeeded", 1.0, 2.0, id="tokenize"), Task("train", "running", 3.0, id="train-2")]
    return run


def write(run: Run, task: str, text: str) -> None:
    folder = folder_of(run.folder, task)
    folder.mkdir(parents=True)
    (folder / FILE).write_text(text, encoding="utf-8")


def test_the_live_table_says_how_far_the_training_is(tmp_path: Path) -> None:
    run = running(tmp_path)
    write(run, "train-2", RECORD.write())
    watch = Watch(console := Console(width=200, record=True, file=io.StringIO()))
    watch.show(run)
    console.print(watch.table())
    (line,) = (line for line in console.export_text().splitlines() if " train " in line)
    assert "epoch 3 of 7 (40%), loss 2.31, valid BLEU 31.2, 12,345 target tokens/s, 2 min left" in line


def test_another_terminal_reads_the_same(tmp_path: Path) -> None:
    run = running(tmp_path)
    write_run(run)
    write(run, "train-2", RECORD.write())
    laptop = Laptop(Configuration.model_validate({"targets": {"laptop": {"home": str(tmp_path)}}}))
    found = laptop.describe("latest")
    assert [task.progress for task in found.tasks] == [None, RECORD]
    seen: list[Progress | None] = []

    def on_change(now: Run) -> None:
        seen.append(now.tasks[1].progress)
        run.state = "succeeded"
        run.tasks[1].state = "succeeded"
        write_run(run)

    assert laptop.watch("r", on_change).tasks[1].progress is None
    assert seen == [RECORD, None]


def test_a_stage_in_an_image_is_read_from_its_log(tmp_path: Path) -> None:
    run = running(tmp_path)
    log = run.folder / "logs" / "train-2.log"
    log.parent.mkdir(parents=True)
    lines = ["begins", PREFIX + Progress("epoch 1 of 7").write(), PREFIX + RECORD.write(), "epoch 3: batch 4"]
    log.write_text("\n".join(lines), encoding="utf-8")
    update(run)
    assert run.tasks[1].progress == RECORD
    assert list(of_stages(lines)) == ["begins", "epoch 3: batch 4"]


def test_a_broken_record_shows_nothing_and_what_has_ended_is_removed(tmp_path: Path) -> None:
    run = running(tmp_path)
    write(run, "train-2", "{")
    update(run)
    assert run.tasks[1].progress is None
    write(run, "tokenize", "{")
    remove(run.folder, "tokenize")
    assert (run.folder / "progress").is_dir()
    remove(run.folder, "train-2")
    assert not (run.folder / "progress").exists()
