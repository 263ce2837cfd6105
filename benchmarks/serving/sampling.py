"""The throughput of the server that samples all answers, compared with one that samples none.

    python -m benchmarks.serving.sampling --model MODEL --texts test.tsv.gz

The servers run beside each other and are measured in turn, so that a machine that slows down slows both. A round lasts
seconds, and begins with another server than the one before; a ratio is the median of those of the rounds. Each turn has
a lead that does not count, in which the process that writes samples gets the work that it has in the seconds that do.
The CPU time of a server is that of its processes, from turn to turn: unlike throughput, it says little of what else the
machine does. Metrics:

    sampling_rate_ratio        throughput with --sample-requests 1, over that without
    sampling_texts_rate_ratio  the same with --sample-texts
    sampling_cpu_ratio         CPU time of a request with --sample-requests 1, over that without
    sampling_texts_cpu_ratio   the same with --sample-texts
    sampling_dropped           answers that were not sampled, because the process was behind; of both
    sampling_bytes_per_row     size of the files over their rows, without texts
"""

import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import finish, parser, show
from benchmarks.serve import run_load, server_process
from benchmarks.serving.processes import cpu_seconds
from seqline.artifacts.request_log import read_requests
from seqline.endpoints.ports import DIRECT

OFF, FEATURES, TEXTS = KINDS = "off", "features", "features and texts"
LEAD = 2.5
"""Seconds of a turn that do not count: a little more than the time in which a server collects samples."""


@dataclass(frozen=True)
class Turn:
    """A turn of a server.

    Attributes:
        rate: Requests a second.
        answered: Requests in all of it, with the lead.
        cpu: CPU seconds of the server before it.
    """

    rate: float
    answered: int
    cpu: float


def main() -> int:
    """Runs the benchmark."""
    flags = parser("serving.sampling", __doc__.splitlines()[0])
    flags.add_argument("--model", type=Path, required=True, help="exported model")
    flags.add_argument("--texts", type=Path, required=True, help="corpus whose sources are sent, such as test.tsv.gz")
    args = flags.parse_args()
    rounds, seconds = (3, 4.0) if args.quick else (15, 6.0)
    turns: dict[str, list[Turn]] = {name: [] for name in KINDS}
    failed = 0
    with tempfile.TemporaryDirectory(prefix="sampling.") as folder:
        with servers(args.model, Path(folder)) as running:
            for url, _ in running.values():
                run_load(url, args.texts, seconds=3)
            for number in range(rounds):
                first = number % len(KINDS)
                for name in KINDS[first:] + KINDS[:first]:
                    url, pid = running[name]
                    before = cpu_seconds(pid)
                    found = run_load(url, args.texts, seconds, lead=LEAD)
                    turns[name].append(Turn(found["per_second"], found["answered"] + found["answered_before"], before))
                    failed += sum(found["failed"].values())
            time.sleep(LEAD)
            cpu = {name: cpu_of(turns[name], cpu_seconds(running[name][1])) for name in KINDS}
            dropped = sum(drops(url) for url, _ in running.values())
        # Now that the servers have ended, all files are written.
        size = sum(path.stat().st_size for path in (Path(folder) / FEATURES).iterdir())
        rows = read_requests(Path(folder) / FEATURES, columns=["id"]).table.num_rows
    rates = {name: [turn.rate for turn in turns[name]] for name in KINDS}
    show(
        "One sentence per request",
        ["sampled", "requests/s", "lowest ratio", "highest ratio", "CPU ms a request", "lowest ratio", "highest ratio"],
        [
            [
                name,
                statistics.median(rates[name]),
                *_range(ratios(rates, name)),
                1000 * statistics.median(cpu[name]),
                *_range(ratios(cpu, name)),
            ]
            for name in KINDS
        ],
    )
    metrics = {
        "sampling_rate_ratio": statistics.median(ratios(rates, FEATURES)),
        "sampling_texts_rate_ratio": statistics.median(ratios(rates, TEXTS)),
        "sampling_cpu_ratio": statistics.median(ratios(cpu, FEATURES)),
        "sampling_texts_cpu_ratio": statistics.median(ratios(cpu, TEXTS)),
        "sampling_dropped": float(dropped),
        "sampling_bytes_per_row": size / max(1, rows),
        "failed": float(failed),
    }
    finish(metrics, args.json)
    return 0


@contextlib.contextmanager
def servers(model: Path, folder: Path) -> Iterator[dict[str, tuple[str, int]]]:
    """Runs a server of each kind.

    Args:
        model: The exported model.
        folder: Folder of the samples.

    Yields:
        The URL of each one's predict method, and its process.
    """
    flags = {
        OFF: (),
        FEATURES: ("--sample-requests", "1", "--sample-folder", str(folder / FEATURES)),
        TEXTS: ("--sample-requests", "1", "--sample-texts", "--sample-folder", str(folder / TEXTS)),
    }
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(server_process(model, *given)) for name, given in flags.items()}


def cpu_of(turns: list[Turn], end: float) -> list[float]:
    """Returns the CPU seconds of a request in each turn, with what its server did until its next one.

    Args:
        turns: The turns of a server.
        end: CPU seconds of the server at the end.
    """
    marks = [*(turn.cpu for turn in turns), end]
    return [(marks[index + 1] - marks[index]) / max(1, turn.answered) for index, turn in enumerate(turns)]


def ratios(values: dict[str, list[float]], name: str) -> list[float]:
    """Returns the ratio of each round to the server that samples nothing.

    Args:
        values: A value of each round, by server.
        name: The server.
    """
    return [one / off for one, off in zip(values[name], values[OFF], strict=True)]


def drops(url: str) -> float:
    """Returns the number of answers that a server did not sample for lack of room.

    Args:
        url: URL of its predict method.
    """
    with DIRECT.open(url.partition("/v1/")[0] + "/metrics") as response:
        lines = response.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("seqline_sample_drops_total{"))


def _range(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)


if __name__ == "__main__":
    sys.exit(main())
