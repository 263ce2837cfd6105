"""A local endpoint under steady load while a new version is deployed every minute. Prints one JSON object.

    python -m benchmarks.serving.soak --model MODEL --texts test.tsv.gz --minutes 30

The load is 70% of the highest that 64 clients reach at the start. Each version is the same model under another
fingerprint. Memory is that of the server and its workers in proportional shares (PSS), just after a deployment, so that
every measurement sees as many versions loaded; its growth is that of the mean of the last three over the mean of the
first three under load.
"""

import argparse
import json
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from seqline.endpoints.local import LocalBackEnd
from seqline.endpoints.local_endpoint import Endpoint
from seqline.endpoints.rollout import Checks, roll_out


def main() -> int:
    """Runs the load and the deployments."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, help="requests a second; by default 70%% of the highest load")
    parser.add_argument("--every", type=float, default=60, help="seconds from one deployment to the next")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak."))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    back_end = LocalBackEnd(Endpoint(folder / "soak"), port)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the endpoint is stopped then, too
    memory: list[float] = []

    def deploy(number: int) -> None:
        version = back_end.register(given.model, f"version-{number}", {})
        back_end.prepare()
        roll_out(back_end, version, [10, 50], Checks(["A man is riding a bike."], 0.0))
        await_workers(back_end.endpoint.process() or 0, min(number, 2))
        memory.append(megabytes(back_end.endpoint.process() or 0))
        print(f"version {version} is live; {memory[-1]:.0f} MB", file=sys.stderr)

    try:
        # The second one fills the place of the version before: from here on two are loaded.
        deploy(1)
        deploy(2)
        command = [sys.executable, "-m", "benchmarks.serving.load", "--url", back_end.address()]
        command += ["--texts", str(given.texts), "--seconds"]
        highest = subprocess.run([*command, "20"], stdout=subprocess.PIPE, text=True, check=True)
        rate = given.rate or 0.7 * json.loads(highest.stdout)["per_second"]
        memory[:] = [megabytes(back_end.endpoint.process() or 0)]
        front = [front_megabytes(back_end.endpoint.process() or 0)]
        command += [str(60 * given.minutes), "--rate", str(rate)]
        load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        number, due = 2, time.monotonic() + given.every
        while load.poll() is None:
            time.sleep(0.5)
            if time.monotonic() >= due:
                due += given.every
                number += 1
                deploy(number)
                front.append(front_megabytes(back_end.endpoint.process() or 0))
        told = json.loads(load.stdout.read()) if load.stdout else {}
    finally:
        back_end.stop()
        shutil.rmtree(folder, ignore_errors=True)
    growth = statistics.fmean(memory[-3:]) / statistics.fmean(memory[1:4]) - 1
    figures = {
        "rate": rate,
        "deployments": len(memory) - 1,
        "memory_growth": growth,
        "megabytes": memory,
        "front_megabytes": front,
    }
    print(json.dumps({**told, **figures}))
    return 0


def await_workers(keeper: int, number: int) -> None:
    """Waits until no more versions are loaded than that: one that was replaced answers what it has first."""
    deadline = time.monotonic() + 90
    while len(children(children(keeper)[0])) > number and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(1)


def front_megabytes(keeper: int) -> float:
    """Memory of the process that takes the requests; the workers come and go with their versions."""
    return own_megabytes(children(keeper)[0])


def megabytes(pid: int) -> float:
    """Memory of a process and all below it.

    Args:
        pid: The process that keeps the server.
    """
    return own_megabytes(pid) + sum(map(megabytes, children(pid)))


def own_megabytes(pid: int) -> float:
    """Memory of one process, its share of what it has in common with others."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


if __name__ == "__main__":
    sys.exit(main())
