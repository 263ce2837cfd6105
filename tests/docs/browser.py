"""Pictures of pages, by a headless Chromium that is spoken to in the DevTools protocol, over pipes."""

import base64
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seqline.errors import UserError

NAMES = ("chromium", "chromium-browser", "google-chrome")
# https://chromedevtools.github.io/devtools-protocol: with --remote-debugging-pipe the browser reads messages from
# file 3 and writes to file 4, each ended by a zero byte.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
    "--no-first-run",
)


class Browser:
    """A running browser with one page."""

    def __init__(self, requests: int, answers: int) -> None:
        self._requests, self._answers = requests, answers
        self._numbers = itertools.count(1)
        self._rest = b""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable", self._session)

    def picture(self, page: Path, width: int, height: int, quality: int = 75) -> bytes:
        """Takes a picture of a page's beginning, in WebP.

        Args:
            page: The HTML file.
            width: Of the window, in pixels of CSS.
            height: Of the picture, at most; a shorter page has a shorter picture.
            quality: From 0 to 100.
        """
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", self._session, **size)
        self.call("Page.navigate", self._session, url=page.resolve().as_uri())
        self._message(lambda message: message.get("method") == "Page.loadEventFired")
        whole = self.call("Page.getLayoutMetrics", self._session)["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": width, "height": min(height, whole["height"]), "scale": 1}
        taken = self.call("Page.captureScreenshot", self._session, format="webp", quality=quality, clip=clip)
        return base64.b64decode(taken["data"])

    def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Calls a method and waits for its result.

        Args:
            method: Its name.
            session: Of the page; empty for the browser.
            **parameters: Its parameters.
        """
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters, **({"sessionId": session} if session else {})}
        os.write(self._requests, json.dumps(message).encode() + b"\0")
        answer = self._message(lambda message: message.get("id") == number)
        if "error" in answer:
            raise UserError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def _message(self, wanted: Any) -> dict[str, Any]:
        while True:
            while b"\0" not in self._rest:
                read = os.read(self._answers, 1 << 20)
                if not read:
                    raise UserError("the browser has ended; start it by hand to see why")
                self._rest += read
            text, _, self._rest = self._rest.partition(b"\0")
            message: dict[str, Any] = json.loads(text)
            if wanted(message):
                return message


@contextmanager
def browser() -> Iterator[Browser]:
    """Starts a browser and stops it at the end of the block."""
    command = next(filter(None, map(shutil.which, NAMES)), None)
    if command is None:
        raise UserError(f"none of {', '.join(NAMES)} is installed")
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()

    # The browser's files are 3 and 4, whatever numbers the pipes have here.
    script = f'exec 3<&{theirs_in} 4>&{theirs_out}; exec "$0" "$@"'
    process = subprocess.Popen(
        ["bash", "-c", script, command, *FLAGS], pass_fds=(theirs_in, theirs_out), stderr=subprocess.DEVNULL
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Browser(ours_out, ours_in)
    finally:
        os.close(ours_out)
        os.close(ours_in)
        process.terminate()
        process.wait()
