"""The throughput of a server that samples all answers or a tenth, compared with one that samples none.

    python -m benchmarks.serving.sampling --model MODEL --texts test.tsv.gz

Two servers of the same program differ by some percent, for as long as they run: by the addresses of their memory and
the like. So every turn starts a server of its own, a round has a turn of each kind and begins with another kind than
the one before, and a metric compares the means of all rounds. Two kinds sample nothing: their ratio is the precision.
Each turn has a lead that does not count, in which the process that writes samples gets the work that it has in the
seconds that do. The CPU time of a server is that of its processes. Metrics:

    sampling_rate_ratio        throughput with --sample-requests 1, over that without
    sampling_tenth_rate_ratio  the same with --sample-requests 0.1
    sampling_texts_rate_ratio  the same with --sample-texts
    sampling_control_ratio     throughput of the first kind that samples nothing, over that of the second
    sampling_cpu_ratio         CPU time of a request with --sample-requests 1, over that without
    sampling_tenth_cpu_ratio   the same with --sample-requests 0.1
    sampling_texts_cpu_ratio   the same with --sample-texts
    sampling_dropped           answers that were not sampled, because the process was behind
    sampling_bytes_per_row     size of the files over their rows, without texts
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import finish, parser, show
from benchmarks.serve import run_load, server_process
from benchmarks.serving.processes import cpu_seconds
from seqline.artifacts.request_log import read_requests
from seqline.endpoints.ports import DIRECT

OFF, CONTROL, TENTH, FEATURES, TEXTS = KINDS = "off", "off again", "a tenth", "features", "features and texts"
FLAGS: dict[str, Sequence[str]] = {
    OFF: (),
    CONTROL: (),
    TENTH: ("--sample-requests", "0.1"),
    FEATURES: ("--sample-requests", "1"),
    TEXTS: ("--sample-requests", "1", "--sample-texts"),
}
LEAD = 2.5
"""Seconds of a turn that do not count: a little more than the time in which a server collects samples."""
WARM_UP = 3.0
"""Seconds of load before a turn, in which a process that writes samples also starts."""


@dataclass(frozen=True)
class Turn:
    """A turn of a server.

    Attributes:
        rate: Requests a second.
        cpu: CPU seconds of a request.
        failed: Requests that failed.
        dropped: Answers that were not sampled.
        size: Bytes of the files of samples.
        rows: Their rows.
    """

    rate: float
    cpu: float
    failed: int
    dropped: float
    size: int
    rows: int


def main() -> int:
    """Runs the benchmark."""
    flags = parser("serving.sampling", __doc__.splitlines()[0])
    flags.add_argument("--model", type=Path, required=True, help="exported model")
    flags.add_argument("--texts", type=Path, required=True, help="corpus whose sources are sent, such as test.tsv.gz")
    args = flags.parse_args()
    rounds, seconds = (2, 3.0) if args.quick else (6, 5.0)
    turns: dict[str, list[Turn]] = {name: [] for name in KINDS}
    for number in range(rounds):
        first = number % len(KINDS)
        for name in KINDS[first:] + KINDS[:first]:
            turns[name].append(turn(args.model, args.texts, FLAGS[name], seconds))
    rates = {name: [one.rate for one in turns[name]] for name in KINDS}
    cpu = {name: [one.cpu for one in turns[name]] for name in KINDS}
    rate_off, cpu_off = (statistics.fmean(values[OFF] + values[CONTROL]) for values in (rates, cpu))
    rows = [
        [name, statistics.fmean(rates[name]), min(rates[name]), max(rates[name]), 1000 * statistics.fmean(cpu[name])]
        for name in KINDS
    ]
    show("One sentence per request", ["sampled", "requests/s", "lowest", "highest", "CPU ms a request"], rows)
    sampled = turns[FEATURES]
    metrics: dict[str, float | str] = {
        "sampling_rate_ratio": statistics.fmean(rates[FEATURES]) / rate_off,
        "sampling_tenth_rate_ratio": statistics.fmean(rates[TENTH]) / rate_off,
        "sampling_texts_rate_ratio": statistics.fmean(rates[TEXTS]) / rate_off,
        "sampling_control_ratio": statistics.fmean(rates[OFF]) / statistics.fmean(rates[CONTROL]),
        "sampling_cpu_ratio": statistics.fmean(cpu[FEATURES]) / cpu_off,
        "sampling_tenth_cpu_ratio": statistics.fmean(cpu[TENTH]) / cpu_off,
        "sampling_texts_cpu_ratio": statistics.fmean(cpu[TEXTS]) / cpu_off,
        "sampling_dropped": sum(one.dropped for found in turns.values() for one in found),
        "sampling_bytes_per_row": sum(one.size for one in sampled) / max(1, sum(one.rows for one in sampled)),
        "failed": float(sum(one.failed for found in turns.values() for one in found)),
    }
    finish(metrics, args.json)
    return 0


def turn(model: Path, texts: Path, flags: Sequence[str], seconds: float) -> Turn:
    """Starts a server, measures it, and ends it.

    Args:
        model: The exported model.
        texts: Corpus whose sources are sent.
        flags: The server's flags.
        seconds: Time that counts.
    """
    with tempfile.TemporaryDirectory(prefix="sampling.") as folder:
        stored = ("--sample-folder", folder) if flags else ()
        with server_process(model, *flags, *stored) as (url, pid):
            run_load(url, texts, WARM_UP)
            time.sleep(LEAD)  # until what the warm-up sampled is written
            before = cpu_seconds(pid)
            found = run_load(url, texts, seconds, lead=LEAD)
            time.sleep(LEAD)
            cpu = (cpu_seconds(pid) - before) / max(1, found["answered"] + found["answered_before"])
            dropped = drops(url)
        # Now that the server has ended, all files are written.
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
        rows = read_requests(Path(folder), columns=["id"]).table.num_rows if size else 0
    return Turn(found["per_second"], cpu, sum(found["failed"].values()), dropped, size, rows)


def drops(url: str) -> float:
    """Returns the number of answers that a server did not sample for lack of room.

    Args:
        url: URL of its predict method.
    """
    with DIRECT.open(url.partition("/v1/")[0] + "/metrics") as response:
        lines = response.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("seqline_sample_drops_total{"))


if __name__ == "__main__":
    sys.exit(main())
