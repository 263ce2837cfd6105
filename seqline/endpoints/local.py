"""The local back end: an endpoint's folder and its server process."""

import contextlib
import http.client
import json
import logging
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from seqline.endpoints.back_end import NONE, RefusedError, Registered, Reply, State, require_unchanged
from seqline.endpoints.events import deltas
from seqline.endpoints.local_endpoint import Endpoint, Settings
from seqline.endpoints.ports import DIRECT, in_use, is_free
from seqline.endpoints.process import isolated
from seqline.endpoints.sampling import FOLDER, Sampling
from seqline.errors import UnreachableError, UserError

log = logging.getLogger(__name__)

# Time for a server whose supervisor was killed to answer the requests in flight.
FORMER_SECONDS = 35.0
# Statuses of a request that fails because of what it holds; it fails again.
REFUSALS = (400, 413, 500)


class LocalBackEnd:
    """Serves versions from a local endpoint's folder.

    Args:
        endpoint: The folder.
        port: Port for a server that is not running yet; 0 for its previous one.
        seconds: Time limit for the server to start, and for a version to load or answer.
        sampling: What the server samples of its requests; None for what it samples already.
    """

    needs_share = False
    exclusive = True
    most_served = None

    def __init__(self, endpoint: Endpoint, port: int, seconds: float = 180.0, sampling: Sampling | None = None) -> None:
        self.endpoint, self.port, self.seconds, self.sampling = endpoint, port, seconds, sampling

    def locked(self) -> AbstractContextManager[None]:
        """Makes a second deployment wait, also one of another process."""
        return self.endpoint.locked()

    def register(self, model: Path, fingerprint: str, metrics: dict[str, float]) -> int:
        """Copies the model into the endpoint's folder."""
        self.endpoint.sweep()
        return self.endpoint.register(model, fingerprint, metrics).version

    def versions(self) -> list[Registered]:
        """The versions in the endpoint's folder."""
        return [
            Registered(
                known.version,
                known.fingerprint,
                known.created,
                str(self.endpoint.model(known.version)),
                ", ".join(f"{name} {value:.4g}" for name, value in known.metrics.items()),
            )
            for known in self.endpoint.versions()
        ]

    def prepare(self) -> None:
        """Starts the server unless it runs; a running server keeps its port."""
        known = self.endpoint.read()
        if known and self.sampling is not None and self.sampling != known.sampling:
            known = replace(known, sampling=self.sampling)
            self.endpoint.write(known)  # a running server follows it
        if known and self.endpoint.process():
            if self.port not in (0, known.port):
                log.info("the server keeps running on port %d", known.port)
            return
        port = known.port if known and self.port == 0 else self.port
        sampling = self.sampling or (known.sampling if known else Sampling())
        settings = replace(known or Settings(self.endpoint.path.name, "127.0.0.1", port), port=port, sampling=sampling)
        # A server without its supervisor answers the requests in flight and ends.
        _await_free(settings.host, settings.port, FORMER_SECONDS if self.endpoint.was_started() else 0)
        self.endpoint.write(settings)
        folder = self.endpoint.path.resolve()
        with self.endpoint.log.open("a", encoding="utf-8") as log_file:
            # A session of its own: the server outlives this stage, and Ctrl-C there.
            server = subprocess.Popen(
                [sys.executable, "-m", "seqline.serving", "--keep", "--endpoint", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=isolated(os.environ),
                start_new_session=True,
            )
        self.endpoint.write_process(server.pid)
        deadline = time.monotonic() + self.seconds
        while time.monotonic() < deadline and server.poll() is None:
            if self._status():
                log.info("the server runs at %s", settings.url)
                return
            time.sleep(0.1)
        self.endpoint.stop()
        raise UserError(f"the model server did not start; {self._end_of_log()}")

    def state(self) -> State:
        """The state in endpoint.json, which the server follows."""
        settings = self.endpoint.read()
        return settings.state if settings else State()

    def add(self, version: int) -> None:
        """Makes the server load a version."""
        if version not in self.state().traffic:
            log.info("loading version %d", version)
            self._change(traffic={**self.state().traffic, version: 0})
        self._await(lambda status: version in status["loaded"], f"load version {version}", version)

    def split(self, traffic: Mapping[int, int], replaces: Mapping[int, int] | None = None) -> None:
        """Makes the server apply a split."""
        state = self.state()
        require_unchanged(self.endpoint.path.name, state, traffic, replaces)
        self._serve({version: traffic.get(version, 0) for version in state.traffic})

    def remove(self, versions: Collection[int]) -> None:
        """Makes the server unload versions."""
        self._serve({version: share for version, share in self.state().traffic.items() if version not in versions})

    def ask(self, version: int, texts: list[str]) -> list[Reply]:
        """Sends requests to the version's own address."""
        settings = self._settings()
        path = f"/v1/models/{settings.name}/versions/{version}:predict"
        replies = []
        for text in texts:
            try:
                answer, milliseconds = self._timed(settings, path, text)
            except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
                raise UserError(f"version {version} failed its smoke request {text!r} ({error})") from error
            replies.append(Reply(text, answer, milliseconds))
        return replies

    def predict(self, texts: list[str], parameters: Mapping[str, Any] = NONE) -> list[dict[str, Any]]:
        """Sends one request to the predict address."""
        body = {"instances": texts, "parameters": dict(parameters)}
        with self._explained() as settings:
            return list(self._get(f"/v1/models/{settings.name}:predict", body)["predictions"])

    def stream(self, text: str, parameters: Mapping[str, Any] = NONE) -> Iterator[str]:
        """Sends one text to the predict address."""
        body = {"instances": [text], "parameters": dict(parameters), "stream": True}
        with self._explained() as settings, self._open(f"/v1/models/{settings.name}:predict", body) as response:
            yield from deltas(response)

    def alias(self, aliases: dict[str, int]) -> None:
        """Moves all aliases in one step."""
        self._change(aliases={**self._settings().aliases, **aliases})

    def mark_rolled_back(self, fingerprint: str, date: str) -> None:
        """Records it in endpoint.json."""
        others = {known: when for known, when in self.state().rolled_back.items() if known != fingerprint}
        self._change(rolled_back={**others, fingerprint: date} if date else others)

    def forget(self, needed: set[int]) -> None:
        """Removes the folders of the other versions."""
        for version in self.endpoint.versions():
            if version.version not in needed:
                self.endpoint.forget(version.version)
                log.info("removed version %d", version.version)

    def address(self) -> str:
        """The predict address."""
        return self._settings().predict_url

    def samples(self) -> str:
        """The folder of endpoint.json, or the endpoint's own, which stays when sampling ends."""
        settings = self.endpoint.read()
        own = self.endpoint.path / FOLDER
        return (settings.sampling.folder if settings else "") or (str(own) if own.is_dir() else "")

    def runs(self) -> bool:
        """Whether the server runs."""
        return self.endpoint.process() is not None

    def stop(self) -> bool:
        """Stops the server; requests in flight are answered first."""
        return self.endpoint.stop()

    def _settings(self) -> Settings:
        settings = self.endpoint.read()
        if settings is None:
            raise UserError(f"the endpoint at {self.endpoint.path} was deleted; run the pipeline again")
        return settings

    def _serve(self, traffic: dict[int, int]) -> None:
        if traffic != self.state().traffic:
            self._change(traffic=traffic)
        wanted = {str(version): share for version, share in traffic.items()}
        self._await(lambda status: status["traffic"] == wanted, f"apply the split {wanted}")

    def _timed(self, settings: Settings, path: str, text: str) -> tuple[str, float]:
        """Returns the answer to one text, and the milliseconds from the request to the end of its response."""
        body, headers = json.dumps({"instances": [text]}), {"Content-Type": "application/json"}
        connection = http.client.HTTPConnection(settings.host, settings.port, timeout=self.seconds)
        try:
            connection.connect()
            started = time.monotonic()
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            content = response.read()
            milliseconds = round(1000 * (time.monotonic() - started), 1)
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise ValueError(_message(content))
        return str(json.loads(content)["predictions"][0]["text"]), milliseconds

    def _change(self, **changes: Any) -> None:
        self.endpoint.write(replace(self._settings(), **changes))

    def _await(self, done: Any, what: str, version: int | None = None) -> None:
        deadline = time.monotonic() + self.seconds
        why = f"within {self.seconds:g} s"
        while time.monotonic() < deadline:
            if self.endpoint.process() is None:
                why = "because it ended"
                break
            status = self._status()
            if status and done(status):
                return
            if status and str(version) in status["failures"]:
                raise UserError(f"version {version} does not load: {status['failures'][str(version)]}")
            time.sleep(0.1)
        raise UserError(f"the server did not {what} {why}; {self._end_of_log()}")

    def _status(self) -> dict[str, Any]:
        """The server's status; empty while it does not respond."""
        try:
            return dict(self._get("/v1/traffic"))
        except OSError:
            return {}

    @contextlib.contextmanager
    def _explained(self) -> Iterator[Settings]:
        """Turns the errors of a request to the predict address into messages for users."""
        settings = self._settings()
        try:
            yield settings
        except urllib.error.HTTPError as error:
            message = _message(error.read())
            if error.code in REFUSALS:
                raise RefusedError(message) from None
            raise UserError(f"{settings.predict_url} rejected the request: {message}") from None
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(f"{settings.predict_url} does not respond: {error}") from None

    def _get(self, path: str, body: dict[str, Any] | None = None) -> Any:
        with self._open(path, body) as response:
            return json.load(response)

    def _open(self, path: str, body: dict[str, Any] | None = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._settings().url + path, content, headers)  # noqa: S310 (our own server)
        return DIRECT.open(request, timeout=self.seconds)

    def _end_of_log(self) -> str:
        lines = self.endpoint.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return f"{self.endpoint.log} ends with:\n" + "\n".join(f"  {line}" for line in lines[-5:])


def _message(body: bytes) -> str:
    """The message in the body of an error, or the whole body."""
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")


def _await_free(host: str, port: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_free(port, host):
        if time.monotonic() > deadline:
            raise UserError(in_use(port, host))
        time.sleep(0.1)
