"""The local back end: an endpoint's folder and its server process."""

import json
import logging
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from typing import Any

from components.deploy.deployment import Smoke
from components.errors import UserError
from components.serve.endpoint import Endpoint, Settings

log = logging.getLogger(__name__)

KEPT = 2


@dataclass(frozen=True)
class LocalBackEnd:
    """Makes versions of a local endpoint live.

    Attributes:
        endpoint: Its folder.
        port: Port for a server that is not running yet.
        seconds: How long the server may take to start, and a version to answer.
    """

    endpoint: Endpoint
    port: int
    seconds: float = 120.0

    def ensure_server(self) -> Settings:
        """Starts the server if it does not run.

        Returns:
            The endpoint's settings; a server that runs keeps its port.

        Raises:
            UserError: If the port is in use, or the server does not start.
        """
        known = self.endpoint.read()
        if known and self.endpoint.process():
            if known.port != self.port:
                log.info("the server runs on port %d; it keeps it", known.port)
            return known
        settings = replace(known or Settings(self.endpoint.path.name, "127.0.0.1", self.port), port=self.port)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.host, settings.port))
            except OSError:
                raise UserError(
                    f"port {settings.port} is in use by another program; choose another with --port, "
                    "or stop that program"
                ) from None
        self.endpoint.write(settings)
        with self.endpoint.log.open("a", encoding="utf-8") as log_file:
            # A session of its own: the server outlives this stage, and Ctrl-C there.
            server = subprocess.Popen(
                [sys.executable, "-m", "components.serve", "--endpoint", str(self.endpoint.path)],
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.endpoint.write_process(server.pid)
        deadline = time.monotonic() + self.seconds
        while time.monotonic() < deadline:
            if server.poll() is not None:
                break
            try:
                self._get(f"{settings.url}/v1/models/{settings.name}")
                log.info("the server runs at %s", settings.url)
                return settings
            except OSError:
                time.sleep(0.1)
        self.endpoint.stop()
        raise UserError(f"the model server did not start; {self.endpoint.log} ends with:\n{self._end_of_log()}")

    def smoke(self, version: int, text: str) -> Smoke:
        """Sends a version a request; it need not be live.

        Args:
            version: Its number.
            text: What to send.

        Raises:
            UserError: If it does not answer well.
        """
        settings = self._settings()
        url = f"{settings.url}/v1/models/{settings.name}/versions/{version}:predict"
        body = json.dumps({"instances": [text]}).encode()
        started = time.monotonic()
        try:
            (prediction,) = self._get(url, body)["predictions"]
            answer = str(prediction["text"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            said = error.read().decode(errors="replace") if isinstance(error, urllib.error.HTTPError) else str(error)
            stays = f"version {settings.live} stays live" if settings.live else "no version is live"
            raise UserError(
                f"version {version} failed its smoke request ({said.strip()}); {stays}. "
                f"{self.endpoint.log} ends with:\n{self._end_of_log()}"
            ) from error
        return Smoke(text, answer, round(1000 * (time.monotonic() - started), 1))

    def make_live(self, version: int) -> None:
        """Gives a version all traffic and waits until the server has switched to it.

        Args:
            version: Its number.

        Raises:
            UserError: If the server does not switch; the version before stays live.
        """
        before = self._settings()
        if before.traffic != {str(version): 100}:
            self.endpoint.write(replace(before, traffic={str(version): 100}))
        deadline = time.monotonic() + self.seconds
        while time.monotonic() < deadline:
            status = self._get(f"{before.url}/v1/models/{before.name}")["model_version_status"]
            if [entry["version"] for entry in status] == [str(version)]:
                return
            time.sleep(0.1)
        self.endpoint.write(before)
        raise UserError(
            f"the server did not switch to version {version}; version {before.live} stays live. "
            f"{self.endpoint.log} ends with:\n{self._end_of_log()}"
        )

    def forget_old(self, version: int) -> None:
        """Keeps the live version and the one before it.

        Args:
            version: The live version.
        """
        others = [known.version for known in self.endpoint.versions() if known.version != version]
        for old in others[: max(0, len(others) - KEPT + 1)]:
            self.endpoint.forget(old)
            log.info("removed version %d", old)

    def _settings(self) -> Settings:
        settings = self.endpoint.read()
        if settings is None:
            raise UserError(f"the endpoint at {self.endpoint.path} is gone; run the pipeline again")
        return settings

    def _get(self, url: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 (our own server)
        with urllib.request.urlopen(request, timeout=self.seconds) as response:  # noqa: S310
            return json.load(response)

    def _end_of_log(self) -> str:
        lines = self.endpoint.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-5:])
