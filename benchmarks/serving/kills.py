"""A local endpoint whose server, or the deployment to it, is killed at random moments. Prints one JSON object.

    python -m benchmarks.serving.kills --model MODEL --times 20

Each round starts the deploy stage with a new version, the same model under another fingerprint, and sends SIGKILL at a
random moment to the stage or to the server, in turns, while a client asks all the time. Then the endpoint has to answer
again by itself, with the version before or the new one; no registered version that has an alias may be gone; and the
stage, run again, has to make the new version live.
"""

import argparse
import functools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from seqline.artifacts.decision import Decision, RuleResult, write_decision
from seqline.artifacts.evaluation import Sentence
from seqline.artifacts.exported_model import ExportedModel
from seqline.endpoints.local_endpoint import Endpoint
from seqline.errors import UserError

TEXT = "A man is riding a bike."


def main() -> int:
    """Runs the rounds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.kills", description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kills."))
    endpoint, chooser = Endpoint(folder / "killed"), random.Random(given.seed)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the endpoint is stopped then, too
    try:
        started = time.monotonic()
        for number in (1, 2):  # the second one shows how long a deployment takes
            started = time.monotonic()
            if stage(endpoint, given.model, number).wait():
                raise UserError("the model cannot be deployed; its reason is above")
        longest = time.monotonic() - started
        client = Client(endpoint)
        rounds = []
        for number in range(3, 3 + given.times):
            victim = ("stage", "server")[number % 2]
            rounds.append(one_round(endpoint, given.model, number, victim, chooser.uniform(0, longest), client))
            print(json.dumps(asdict(rounds[-1])), file=sys.stderr)
        client.stop()
    finally:
        endpoint.stop()
        shutil.rmtree(folder, ignore_errors=True)
    servers = [told for told in rounds if told.victim == "server"]
    figures = {
        "kills": len(rounds),
        "came_back": sum(told.came_back for told in rounds),
        "lost_versions": sum(told.lost for told in rounds),
        "went_on": sum(told.went_on for told in rounds),
        "failed_when_stage_killed": sum(told.failed for told in rounds if told.victim == "stage"),
        "most_seconds_down": max((told.seconds_down for told in servers), default=0.0),
    }
    print(json.dumps(figures))
    return 0


@dataclass(frozen=True)
class Round:
    """What came of one kill.

    Attributes:
        victim: What was killed.
        moment: Seconds after the stage's start.
        came_back: Whether the endpoint answered again by itself.
        seconds_down: How long it did not.
        failed: Requests that failed meanwhile.
        lost: Registered versions that should be there, and are not: those with an alias, and the champion before.
        went_on: Whether the stage, run again, made the new version live.
    """

    victim: str
    moment: float
    came_back: bool
    seconds_down: float
    failed: int
    lost: int
    went_on: bool


def one_round(endpoint: Endpoint, model: Path, number: int, victim: str, moment: float, client: "Client") -> Round:
    """Kills once, and looks what is left."""
    before = endpoint.live()
    client.forget()
    running = stage(endpoint, model, number)
    time.sleep(moment)
    if victim == "stage":
        running.kill()
    else:
        keeper = endpoint.process()
        children = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
    running.wait()
    deadline = time.monotonic() + 120
    while not client.answers() and time.monotonic() < deadline:
        time.sleep(0.1)
    came_back, down = client.answers(), client.down
    kept = {*named(endpoint), *([before.version] if before else [])}
    lost = [version for version in kept if not whole(endpoint, version)]
    settled = stage(endpoint, model, number).wait() == 0
    live = endpoint.live()
    went_on = settled and live is not None and live.fingerprint == fingerprint(number)
    return Round(victim, round(moment, 2), came_back, round(down, 1), client.failed, len(lost), went_on)


def stage(endpoint: Endpoint, model: Path, number: int) -> "subprocess.Popen[bytes]":
    """Starts the deploy stage with a version of its own."""
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
    command += ["--endpoint", str(endpoint.path), "--port", str(port())]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


@functools.cache
def port() -> int:
    """A free port, the same at every call."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fingerprint(number: int) -> str:
    """A version's."""
    return f"version-{number}"


def named(endpoint: Endpoint) -> list[int]:
    """The versions that have an alias: the last two."""
    settings = endpoint.read()
    return sorted(set(settings.aliases.values())) if settings else []


def whole(endpoint: Endpoint, version: int) -> bool:
    """Whether a version is registered and its model is there."""
    return endpoint.version(version) is not None and (endpoint.model(version) / "saved_model.pb").is_file()


class Client:
    """Asks all the time, and notes when it was not answered."""

    def __init__(self, endpoint: Endpoint) -> None:
        settings = endpoint.read()
        assert settings is not None
        self.url = settings.predict_url
        self.failed, self.down, self._good, self._ended = 0, 0.0, True, False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def answers(self) -> bool:
        """Whether the last request was answered."""
        return self._good

    def forget(self) -> None:
        """Starts to count anew."""
        self.failed, self.down = 0, 0.0

    def stop(self) -> None:
        """Ends it."""
        self._ended = True
        self._thread.join()

    def _run(self) -> None:
        last = time.monotonic()
        body = json.dumps({"instances": [TEXT]}).encode()
        while not self._ended:
            try:
                with urllib.request.urlopen(urllib.request.Request(self.url, body), timeout=120) as response:
                    self._good = bool(json.load(response)["predictions"][0]["text"])
            except (OSError, ValueError, KeyError):
                self._good = False
            now = time.monotonic()
            if not self._good:
                self.failed += 1
                self.down += now - last
            last = now
            time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
