"""A local endpoint whose server or deployment is killed at random moments. Prints one JSON object.

    python -m benchmarks.serving.kills --model MODEL --times 20

Each round starts the deploy stage with a new version, which is the same model with another fingerprint, and sends
SIGKILL at a random moment to the stage or the server, alternately, while a client sends requests. Then the endpoint
must recover without help, with the previous version or the new one; no registered version with an alias may be lost;
and the stage, run again, must make the new version live.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.serving.processes import children, free_port
from seqline.artifacts.decision import Decision, RuleResult, write_decision
from seqline.artifacts.evaluation import Sentence
from seqline.artifacts.exported_model import ExportedModel
from seqline.endpoints.local_endpoint import Endpoint
from seqline.endpoints.ports import DIRECT
from seqline.errors import UserError

TEXT = "A man is riding a bike."


def main() -> int:
    """Runs the rounds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.kills", description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kills."))
    endpoint, port, chooser = Endpoint(folder / "killed"), free_port(), random.Random(args.seed)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the endpoint is stopped
    try:
        for number in (1, 2):  # the time of the second one is measured
            started = time.monotonic()
            if start_stage(endpoint, args.model, port, number).wait():
                raise UserError("the model cannot be deployed; the reason is above")
        longest = time.monotonic() - started
        client = Client(endpoint)
        rounds = []
        for number in range(3, 3 + args.times):
            victim = ("stage", "server")[number % 2]
            rounds.append(one_round(endpoint, args.model, port, number, victim, chooser.uniform(0, longest), client))
            print(json.dumps(asdict(rounds[-1])), file=sys.stderr)
        client.stop()
    finally:
        endpoint.stop()
        shutil.rmtree(folder, ignore_errors=True)
    metrics = {
        "kills": len(rounds),
        "came_back": sum(one.recovered for one in rounds),
        "lost_versions": sum(one.lost for one in rounds),
        "went_on": sum(one.resumed for one in rounds),
        "failed_when_stage_killed": sum(one.failed for one in rounds if one.victim == "stage"),
        "most_seconds_down": max((one.seconds_down for one in rounds if one.victim == "server"), default=0.0),
    }
    print(json.dumps(metrics))
    return 0


@dataclass(frozen=True)
class Round:
    """The result of one kill.

    Attributes:
        victim: The killed process, stage or server.
        moment: Seconds after the stage's start.
        recovered: Whether the endpoint answered again without help.
        seconds_down: Time without answers.
        failed: Number of failed requests.
        lost: Number of lost versions, of those with an alias and the previous champion.
        resumed: Whether the stage, run again, made the new version live.
    """

    victim: str
    moment: float
    recovered: bool
    seconds_down: float
    failed: int
    lost: int
    resumed: bool


def one_round(
    endpoint: Endpoint, model: Path, port: int, number: int, victim: str, moment: float, client: "Client"
) -> Round:
    """Kills the victim once, and checks the endpoint."""
    before = endpoint.live()
    client.reset()
    running = start_stage(endpoint, model, port, number)
    time.sleep(moment)
    if victim == "stage":
        running.kill()
    else:
        os.kill(children(endpoint.process() or 0)[0], signal.SIGKILL)
    running.wait()
    deadline = time.monotonic() + 120
    while not client.answered and time.monotonic() < deadline:
        time.sleep(0.1)
    recovered, down = client.answered, client.down
    expected = {*aliased(endpoint), *([before.version] if before else [])}
    lost = [version for version in expected if not is_complete(endpoint, version)]
    completed = start_stage(endpoint, model, port, number).wait() == 0
    live = endpoint.live()
    resumed = completed and live is not None and live.fingerprint == fingerprint(number)
    return Round(victim, round(moment, 2), recovered, round(down, 1), client.failed, len(lost), resumed)


def start_stage(endpoint: Endpoint, model: Path, port: int, number: int) -> "subprocess.Popen[bytes]":
    """Starts the deploy stage with the version of this number."""
    folder = endpoint.path.parent / f"version-{number}"
    if not folder.exists():
        shutil.copytree(model, folder / "model")
        exported = ExportedModel(folder / "model")
        description = replace(exported.read_description(), fingerprint=fingerprint(number))
        exported.write_description(description)
        sample, rule = Sentence(TEXT, "", "", 0.0), RuleResult("bleu", 1.0, 0.0, True, "")
        write_decision(folder / "decision", Decision(True, fingerprint(number), [rule], {}, samples=[sample]))
    command = [sys.executable, "-m", "seqline.components.deploy", "--model", str(folder / "model")]
    command += ["--decision", str(folder / "decision"), "--output", str(folder / "deployment")]
    command += ["--endpoint", str(endpoint.path), "--port", str(port)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def fingerprint(number: int) -> str:
    """Returns the fingerprint of a version."""
    return f"version-{number}"


def aliased(endpoint: Endpoint) -> list[int]:
    """Returns the versions with an alias: the last two."""
    settings = endpoint.read()
    return sorted(set(settings.aliases.values())) if settings else []


def is_complete(endpoint: Endpoint, version: int) -> bool:
    """Returns whether a version is registered and has its model."""
    return endpoint.version(version) is not None and (endpoint.model(version) / "saved_model.pb").is_file()


class Client:
    """Sends requests continuously, and counts those that fail.

    Attributes:
        answered: Whether the last request was answered.
        failed: Number of failed requests.
        down: Time without answers, in seconds.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        settings = endpoint.read()
        assert settings is not None
        self.url = settings.predict_url
        self.failed, self.down, self.answered, self._stopped = 0, 0.0, True, False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def reset(self) -> None:
        """Resets the counters."""
        self.failed, self.down = 0, 0.0

    def stop(self) -> None:
        """Stops sending requests."""
        self._stopped = True
        self._thread.join()

    def _run(self) -> None:
        last = time.monotonic()
        body = json.dumps({"instances": [TEXT]}).encode()
        while not self._stopped:
            try:
                with DIRECT.open(urllib.request.Request(self.url, body), timeout=120) as response:
                    self.answered = bool(json.load(response)["predictions"][0]["text"])
            except (OSError, ValueError, KeyError):
                self.answered = False
            now = time.monotonic()
            if not self.answered:
                self.failed += 1
                self.down += now - last
            last = now
            time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
