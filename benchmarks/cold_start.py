"""How long a user waits: for a server's first answer, for a run in which every stage is cached, and for `--help`.

`cold_start_s` is from the start of `python -m seqline.serving` to its first answer; the median of several starts, after
one that fills the file cache. `cached_run_s` is a whole `seqline run` whose cacheable stages are all hits, and `help_s`
is `seqline --help`; the best of several. All with a tiny model: a larger one takes longer to read.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from benchmarks.cli import best_seconds, cached_run
from benchmarks.results import finish, parser
from benchmarks.serving.processes import free_port
from seqline.errors import UserError

LONGEST = 120.0


def main() -> None:
    """Runs the benchmark."""
    args = parser("cold_start", "Cold start of the server, a cached run and the help.").parse_args()
    seqline = Path(sys.executable).with_name("seqline")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cached, _ = cached_run(seqline, folder, repeats=1 if args.quick else 5)
        (model, *_) = folder.glob(".seqline/runs/*/export/model")
        first_answer(model)
        starts = [first_answer(model) for _ in range(1 if args.quick else 5)]
        shown = best_seconds({"help": [[seqline, "--help"]]}, folder, repeats=1 if args.quick else 7)
    metrics = {"cold_start_s": statistics.median(starts), "cached_run_s": cached, "help_s": shown["help"]}
    finish({name: round(value, 3) for name, value in metrics.items()}, args.json)


def first_answer(model: Path) -> float:
    """Starts a server, and stops it again.

    Args:
        model: The exported model.

    Returns:
        Seconds from its start to its first answer.

    Raises:
        UserError: If it does not answer.
    """
    port = free_port()
    command = [sys.executable, "-m", "seqline.serving", "--model", str(model), "--port", str(port)]
    address = f"http://127.0.0.1:{port}/v1/models/model:predict"
    with httpx.Client(timeout=LONGEST) as client:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while not _answered(client, address):
                if process.poll() is not None or time.perf_counter() - start > LONGEST:
                    raise UserError(f"{' '.join(command)} does not answer")
                time.sleep(0.01)
            return time.perf_counter() - start
        finally:
            process.terminate()
            process.wait()


def _answered(client: httpx.Client, address: str) -> bool:
    try:
        return client.post(address, json={"instances": ["1 May 2020"]}).status_code == 200
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
