"""The interface of every trainer: a task on standard input, metrics on standard output. Standard library only."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

SHAPE = ("hidden_dim", "intermediate_dim", "num_heads", "encoder_layers", "decoder_layers")


def run_task(train: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Runs a trainer on the task from standard input, and prints its result as the last line.

    Args:
        train: Takes the task and returns metrics. The task has `folder` (with `vocabulary.txt`, and the tokens in
            `train.source` and `train.target`), `corpus`, `preset`, `shape` (the fields of `SHAPE`), `batch_tokens`,
            `dropout`, `label_smoothing`, `threads`, `variant` and `seconds`, the time to measure after the warm-up.
            With `test`, a file of tokens, the peers train for the seconds, with `learning_rate`, `warmup_steps` and
            `seed`, then decode the file, and return `outputs`: lines of tokens by the name of the weights.
    """
    task = json.load(sys.stdin)
    os.environ["OMP_NUM_THREADS"] = str(task["threads"])
    # The output of libraries goes to standard error.
    stdout = os.dup(1)
    os.dup2(2, 1)
    os.write(stdout, (json.dumps(train(task)) + "\n").encode())
