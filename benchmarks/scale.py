"""Training on corpora of many pairs: memory, the time to the first step, and speed.

    memory_5m_gib            peak resident memory of training on 5M pairs, above that of the same training on 2,000
    memory_20m_gib           the same on 20M pairs
    memory_growth_5m_20m     the quotient of the two
    anonymous_5m_gib         the part of memory_5m_gib that is anonymous: what a container's limit always counts
    first_step_s_20m         seconds from the start of the process to the end of the first step on 20M pairs
    resume_first_step_s_20m  the same of a process that resumes in the middle of an epoch
    rate_ratio               target tokens per second on 20M pairs, divided by that on 20,000
    rate_ratio_subwords      the same with subword sampling

A rate has its share of planning, segmenting and reading a window. The corpora are synthetic and stored in a folder for
the next run; they take about 2 GB. The files are read once before: what is measured is not the disk.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.environments import FOLDER
from benchmarks.results import finish, parser, show
from benchmarks.scaling import corpora
from benchmarks.tokenizing.measuring import measure
from seqline.errors import UserError

# An epoch of the small corpora is shorter than the measurement.
OPTIONS = {
    "preset": "demo", "epochs": 1000, "batch_tokens": 4096, "decoded_sample": 0, "patience": 0, "precision": "float32"
}  # fmt: skip
QUICK = {"encoder_layers": 1, "decoder_layers": 1, "hidden_dim": 32, "intermediate_dim": 64, "num_heads": 2}
EMPTY, SMALL = 2000, 20_000
GIB = 1 << 30


def main() -> None:
    """Runs the benchmark."""
    flags = parser("scale", (__doc__ or "").partition("\n")[0])
    flags.add_argument("--folder", type=Path, default=FOLDER / "scale", help="folder of the corpora")
    args = flags.parse_args()
    sizes = (50_000, 200_000) if args.quick else (5_000_000, 20_000_000)
    paths = {pairs: corpora.make(args.folder.resolve(), pairs) for pairs in (EMPTY, SMALL, *sizes)}
    limits = {"seconds": 1, "shape": QUICK} if args.quick else {"seconds": 60, "shape": {}}
    found: dict[str, dict[str, Any]] = {}
    for name, pairs in (("empty", EMPTY), ("small", SMALL), ("5m", sizes[0]), ("20m", sizes[1])):
        found[name] = trained(paths[pairs], limits)
    for name, pairs in (("small, subwords", SMALL), ("20m, subwords", sizes[1])):
        found[name] = trained(paths[pairs], limits, subword_sampling=0.1)
    found["20m, resumed"] = trained(paths[sizes[1]], limits, resumed=True)
    columns = ["first_step_s", "rate", "plain_rate", "window_s", "rss", "anonymous"]
    rows = [[name, *(one[column] / GIB if column in columns[4:] else one[column] for column in columns)]
            for name, one in found.items()]  # fmt: skip
    show(
        "Training",
        ["run", "first step s", "target tokens/s", "without windows", "window s", "RSS GiB", "anonymous GiB"],
        rows,
    )
    above = {name: (found[name]["rss"] - found["empty"]["rss"]) / GIB for name in ("5m", "20m")}
    finish(
        {
            "memory_5m_gib": above["5m"],
            "memory_20m_gib": above["20m"],
            "memory_growth_5m_20m": above["20m"] / above["5m"],
            "anonymous_5m_gib": (found["5m"]["anonymous"] - found["empty"]["anonymous"]) / GIB,
            "first_step_s_20m": found["20m"]["first_step_s"],
            "resume_first_step_s_20m": found["20m, resumed"]["first_step_s"],
            "rate_ratio": found["20m"]["rate"] / found["small"]["rate"],
            "rate_ratio_subwords": found["20m, subwords"]["rate"] / found["small, subwords"]["rate"],
        },
        args.json,
    )


def trained(corpus: Path, limits: dict[str, Any], resumed: bool = False, **options: Any) -> dict[str, Any]:
    """Trains in a process of its own.

    Args:
        corpus: The corpus folder.
        limits: `seconds` in which the rate is measured, and a smaller `shape` of the model.
        resumed: Whether to measure a process that resumes in the middle of the epoch.
        **options: Options of training that differ.

    Returns:
        The measurements.
    """
    with tempfile.TemporaryDirectory() as folder:
        task = {"corpus": str(corpus), "folder": folder, "options": OPTIONS | options, **limits}
        if resumed:
            _run({**task, "stop_at": 0.6})
        return dict(_run(task).output)


def _run(task: dict[str, Any]) -> Any:
    command = [sys.executable, "-m", "benchmarks.scaling.training"]
    return measure([*command, json.dumps({**task, "started": time.time()})])


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
