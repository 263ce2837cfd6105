"""The throughput of the server that samples all answers, compared with one that samples none.

    python -m benchmarks.serving.sampling --model MODEL --texts test.tsv.gz

The servers run beside each other and are measured in turn, so that a machine that slows down slows both; the ratio is
the median over the rounds, each of which begins with another server. Metrics:

    sampling_rate_ratio        throughput with --sample-requests 1, over that without
    sampling_texts_rate_ratio  the same with --sample-texts
    sampling_dropped           answers that were not sampled, because the thread was behind; of both
    sampling_bytes_per_row     size of the files over their rows, without texts
"""

import contextlib
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.results import finish, parser, show
from benchmarks.serve import run_load, server
from seqline.artifacts.request_log import read_requests
from seqline.endpoints.ports import DIRECT

OFF, FEATURES, TEXTS = "off", "features", "features and texts"


def main() -> int:
    """Runs the benchmark."""
    flags = parser("serving.sampling", __doc__.splitlines()[0])
    flags.add_argument("--model", type=Path, required=True, help="exported model")
    flags.add_argument("--texts", type=Path, required=True, help="corpus whose sources are sent, such as test.tsv.gz")
    args = flags.parse_args()
    rounds, seconds = (2, 3.0) if args.quick else (9, 10.0)
    rates: dict[str, list[float]] = {name: [] for name in (OFF, FEATURES, TEXTS)}
    failed = 0
    with tempfile.TemporaryDirectory(prefix="sampling.") as folder:
        with servers(args.model, Path(folder)) as urls:
            for url in urls.values():
                run_load(url, args.texts, seconds=3)
            for number in range(rounds):
                order = list(urls)[number % len(urls) :] + list(urls)[: number % len(urls)]
                for name in order:
                    found = run_load(urls[name], args.texts, seconds=seconds)
                    rates[name].append(found["per_second"])
                    failed += sum(found["failed"].values())
            dropped = sum(drops(url) for url in urls.values())
        # Now that the servers have ended, all files are written.
        size = sum(path.stat().st_size for path in (Path(folder) / FEATURES).iterdir())
        rows = read_requests(Path(folder) / FEATURES, columns=["id"]).table.num_rows
    ratios = {name: [one / off for one, off in zip(rates[name], rates[OFF], strict=True)] for name in (FEATURES, TEXTS)}
    show(
        "One sentence per request",
        ["sampled", "requests/s", "lowest ratio", "highest ratio"],
        [[name, statistics.median(rates[name]), *_range(ratios.get(name, [1.0]))] for name in rates],
    )
    metrics = {
        "sampling_rate_ratio": statistics.median(ratios[FEATURES]),
        "sampling_texts_rate_ratio": statistics.median(ratios[TEXTS]),
        "sampling_dropped": float(dropped),
        "sampling_bytes_per_row": size / max(1, rows),
        "failed": float(failed),
    }
    finish(metrics, args.json)
    return 0


@contextlib.contextmanager
def servers(model: Path, folder: Path) -> Iterator[dict[str, str]]:
    """Runs a server of each kind.

    Args:
        model: The exported model.
        folder: Folder of the samples.

    Yields:
        The URL of each one's predict method.
    """
    flags = {
        OFF: (),
        FEATURES: ("--sample-requests", "1", "--sample-folder", str(folder / FEATURES)),
        TEXTS: ("--sample-requests", "1", "--sample-texts", "--sample-folder", str(folder / TEXTS)),
    }
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(server(model, *given)) for name, given in flags.items()}


def drops(url: str) -> float:
    """Returns the number of answers that a server did not sample for lack of room.

    Args:
        url: URL of its predict method.
    """
    with DIRECT.open(url.partition("/v1/")[0] + "/metrics") as response:
        lines = response.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("seqline_sample_drops_total{"))


def _range(ratios: list[float]) -> tuple[float, float]:
    return min(ratios), max(ratios)


if __name__ == "__main__":
    sys.exit(main())
