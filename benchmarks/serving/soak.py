"""A local endpoint under steady load while a new version is deployed every minute. Prints one JSON object.

    python -m benchmarks.serving.soak --model MODEL --texts test.tsv.gz --minutes 30

The load is 70% of the highest that 64 clients reach at the start. Each version is the same model with another
fingerprint. Memory is the proportional set size (PSS) of the supervisor, the server and its workers right after a
deployment, when the same number of versions is loaded. Its growth is the mean of the last three measurements divided by
the mean of the first three under load, minus one.
"""

import argparse
import json
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.serving.processes import children, free_port
from seqline.endpoints.local import LocalBackEnd
from seqline.endpoints.local_endpoint import Endpoint
from seqline.endpoints.rollout import Checks, roll_out


def main() -> int:
    """Runs the load and the deployments."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, help="requests per second; by default 70%% of the highest load")
    parser.add_argument("--every", type=float, default=60, help="seconds between deployments")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak."))
    back_end = LocalBackEnd(Endpoint(folder / "soak"), free_port())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the endpoint is stopped
    memory: list[float] = []

    def supervisor() -> int:
        return back_end.endpoint.process() or 0

    def deploy(number: int) -> None:
        version = back_end.register(args.model, f"version-{number}", {})
        back_end.prepare()
        roll_out(back_end, version, [10, 50], Checks(["A man is riding a bike."], 0.0))
        wait_for_workers(supervisor(), min(number, 2))
        memory.append(megabytes(supervisor()))
        print(f"version {version} is live; {memory[-1]:.0f} MB", file=sys.stderr)

    try:
        # From the second deployment on, the previous version is loaded too.
        deploy(1)
        deploy(2)
        command = [sys.executable, "-m", "benchmarks.serving.load", "--url", back_end.address()]
        command += ["--texts", str(args.texts), "--seconds"]
        highest = subprocess.run([*command, "20"], stdout=subprocess.PIPE, text=True, check=True)
        rate = args.rate or 0.7 * json.loads(highest.stdout)["per_second"]
        memory[:] = [megabytes(supervisor())]
        server = [server_megabytes(supervisor())]
        command += [str(60 * args.minutes), "--rate", str(rate)]
        load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        number, due = 2, time.monotonic() + args.every
        while load.poll() is None:
            time.sleep(0.5)
            if time.monotonic() >= due:
                due += args.every
                number += 1
                deploy(number)
                server.append(server_megabytes(supervisor()))
        result = json.loads(load.stdout.read()) if load.stdout else {}
    finally:
        back_end.stop()
        shutil.rmtree(folder, ignore_errors=True)
    growth = statistics.fmean(memory[-3:]) / statistics.fmean(memory[1:4]) - 1
    metrics = {
        "rate": rate,
        "deployments": len(memory) - 1,
        "memory_growth": growth,
        "megabytes": memory,
        "front_megabytes": server,
    }
    print(json.dumps({**result, **metrics}))
    return 0


def wait_for_workers(supervisor: int, number: int) -> None:
    """Waits until at most this many workers run: a replaced one finishes its requests first."""
    deadline = time.monotonic() + 90
    while len(children(children(supervisor)[0])) > number and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(1)


def server_megabytes(supervisor: int) -> float:
    """Returns the memory of the process that accepts requests, without its workers, in MB."""
    return own_megabytes(children(supervisor)[0])


def megabytes(pid: int) -> float:
    """Returns the memory of a process and its descendants, in MB."""
    return own_megabytes(pid) + sum(map(megabytes, children(pid)))


def own_megabytes(pid: int) -> float:
    """Returns the memory of one process, with its share of shared memory, in MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


if __name__ == "__main__":
    sys.exit(main())
