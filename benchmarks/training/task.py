"""What each trainer is asked: read from standard input, answered on standard output. Standard library only."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

WIDTHS = ("hidden_dim", "intermediate_dim", "num_heads", "encoder_layers", "decoder_layers")


def answer(train: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Runs a trainer on the task that standard input holds, and prints what it found as the last line.

    Args:
        train: From the task to figures. The task has `folder` (with `train.source`, `train.target`: pieces; and
            `vocabulary.txt`), `corpus`, `preset`, `shape` (the fields of `WIDTHS`), `batch_tokens`, `dropout`,
            `label_smoothing`, `threads`, `variant` and `seconds`, the time to measure after what is slow at first. With
            `test`, a file of pieces, OpenNMT-tf trains for the seconds, at `learning_rate` after `warmup_steps`, and
            then decodes it.
    """
    task = json.load(sys.stdin)
    os.environ["OMP_NUM_THREADS"] = str(task["threads"])
    # What the libraries print goes elsewhere.
    out = os.dup(1)
    os.dup2(2, 1)
    found = train(task)
    os.write(out, (json.dumps(found) + "\n").encode())
