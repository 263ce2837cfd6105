"""One training in a process of its own: `python -m benchmarks.scaling.training TASK` prints its measurements as JSON.

TASK is a JSON object: `corpus`, `folder` (of the checkpoint and the working state), `started` (the time of the
process's start), `seconds` to measure after every shape of batch was seen, `options` of training, `shape`, fields of
the preset that differ, and `stop_at`, a share of the epoch: the process saves its state as if it were there, and ends.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

SHAPES = 32
"""Batches after which the step was traced for its shapes."""


def main() -> None:
    """Trains and prints."""
    task = json.loads(sys.argv[1])
    watch = Watch()
    from seqline.components.train.options import Options
    from seqline.components.train.progress import Progress
    from seqline.components.train.stage import train
    from seqline.modeling.config import PRESETS

    PRESETS[task["options"]["preset"]].update(task["shape"])
    found: dict[str, Any] = {}
    meter = Meter(task["seconds"])
    after = Progress.on_train_batch_end

    def measured(self: Progress, batch: int, logs: dict[str, float] | None = None) -> None:
        after(self, batch, logs)
        trainer = self.trainer
        if not found:
            found["first_step_s"] = time.time() - task["started"]
            found["window_s"], found["window_tokens"] = _window(trainer)
            if task.get("stop_at"):
                trainer.step = int(task["stop_at"] * len(trainer.train_batches))
                trainer.save()
                os._exit(0)
        if meter.count(batch, trainer.seconds, float((logs or {}).get("tokens", 0.0))):
            found["plain_rate"] = meter.tokens / meter.seconds
            # A window is planned, segmented and read once for its tokens.
            found["rate"] = 1 / (1 / found["plain_rate"] + found["window_s"] / found["window_tokens"])
            # Small corpora were validated on after each epoch, large ones not yet.
            valid = trainer.valid_batches
            trainer.model.evaluate(valid.dataset(1, 0), steps=len(valid), verbose=0)
            watch.stop()
            print(json.dumps({**found, "rss": watch.peak["VmRSS"], "anonymous": watch.peak["RssAnon"]}), flush=True)
            os._exit(0)

    Progress.on_train_batch_end = measured  # type: ignore[method-assign]
    folder = Path(task["folder"])
    train(Path(task["corpus"]), folder / "checkpoint", str(folder / "state"), options=Options(**task["options"]))


class Meter:
    """Sums the time and the tokens of steps that wait for no window and trace no shape.

    Args:
        limit: Seconds to measure.
    """

    def __init__(self, limit: float) -> None:
        self.limit, self.steps, self.seconds, self.tokens = limit, 0, 0.0, 0.0
        self._last = 0.0, 0.0

    def count(self, batch: int, seconds: float, tokens: float) -> bool:
        """Counts a step; returns whether the time is over.

        Args:
            batch: Its number in the epoch, or in what is left of it; the first waits for a window.
            seconds: Time of all steps so far.
            tokens: Target tokens of the epoch so far.
        """
        before, self._last = self._last, (seconds, tokens)
        self.steps += 1
        if batch and self.steps > SHAPES:
            self.seconds += seconds - before[0]
            self.tokens += tokens - before[1]
        return self.seconds > self.limit


class Watch:
    """Follows this process's memory: resident memory, and the part of it that is anonymous."""

    def __init__(self) -> None:
        self.peak = {"VmRSS": 0, "RssAnon": 0}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Looks a last time."""
        self._done.set()
        self._thread.join()

    def _follow(self) -> None:
        while True:
            last = self._done.wait(0.05)
            for line in Path("/proc/self/status").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in self.peak:
                    self.peak[name] = max(self.peak[name], int(value.split()[0]) * 1024)
            if last:
                return


def _window(trainer: Any) -> tuple[float, float]:
    """Seconds to plan, segment and read a window, and its share of the target tokens."""
    batches = trainer.train_batches
    planned = getattr(batches, "planned", batches)
    start = time.time()
    next(type(batches)(planned, batches.subwords).parts(9, 9, 0, [0]) if planned is not batches
         else batches.parts(9, 9, 0, [0]))  # fmt: skip
    return time.time() - start, planned.tokens / planned.pairs.windows


if __name__ == "__main__":
    main()
