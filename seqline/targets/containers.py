"""A laptop's run with every stage inside its own image, as in a pod or a Vertex task, without a cluster."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from seqline.errors import UserError
from seqline.images.build import Container, Engine
from seqline.targets.laptop import Home, run
from seqline.targets.replaced import replaced
from seqline.targets.target import OnChange, Run


def run_in_containers(
    spec: Path,
    arguments: Mapping[str, Any],
    home: Home,
    engine: Engine,
    on_change: OnChange = lambda run: None,
) -> Run:
    """Runs a compiled pipeline; each stage's executor command, as the spec holds it, runs inside the spec's image.

    Args:
        spec: The compiled YAML.
        arguments: Values of the pipeline's parameters by name. Paths must be inside the home folder, which alone is
            mounted in the images.
        home: The folder of artifacts. No task is cached.
        engine: Runs the images.
        on_change: Called when a task starts and when it ends.

    Returns:
        The run, failed or not.

    Raises:
        UserError: If the spec cannot be read, has no parameter of a given name, or an image is missing.
    """
    home.path.mkdir(parents=True, exist_ok=True)
    with executors(engine, home.path.resolve()):
        return run(spec, arguments, home, caching=False, on_change=on_change)


@contextlib.contextmanager
def executors(engine: Engine, home: Path) -> Iterator[None]:
    """Makes `kfp.local` run tasks inside the images that their spec names, within the block.

    Args:
        engine: Runs the images.
        home: The folder that is mounted in the images, at the same path.
    """
    from kfp.local import status, subprocess_task_handler

    user = image_user()
    with contextlib.ExitStack() as opened:
        containers: dict[str, Container] = {}

        class ContainerTaskHandler:
            """Runs a task's command inside its image, in place of kfp's handler."""

            def __init__(self, image: str, full_command: list[str], env_vars: dict[str, str], **rest: Any) -> None:
                self.image, self.command, self.environment = image, full_command, env_vars

            def run(self) -> status.Status:
                if self.image not in containers:
                    containers[self.image] = opened.enter_context(engine.container(self.image))
                command = containers[self.image].wrap(self.command, [home], self.environment, user)
                failed = subprocess_task_handler.run_local_subprocess(full_command=command)
                return status.Status.FAILURE if failed else status.Status.SUCCESS

        opened.enter_context(shared_with(user))
        opened.enter_context(replaced(subprocess_task_handler, "SubprocessTaskHandler", ContainerTaskHandler))
        yield


def serve_in_container(model: Path, engine: Engine, image: str, text: str = "1 hour", seconds: float = 180) -> str:
    """Starts the serving image as Vertex does, with AIP_* variables, and requests a prediction.

    Args:
        model: An exported model.
        engine: Runs the image.
        image: The serving image.
        text: The request's text.
        seconds: Time limit for the server to become healthy.

    Returns:
        The answer's text.

    Raises:
        UserError: If the server is not healthy in time.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "AIP_HTTP_PORT": str(port),
        "AIP_HEALTH_ROUTE": "/health",
        "AIP_PREDICT_ROUTE": "/predict",
        "AIP_STORAGE_URI": str(model),
    }
    with engine.container(image) as container:
        command = container.wrap(["python3", "-m", "seqline.serving"], [model], environment, image_user())
        server = subprocess.Popen(command, start_new_session=True)
        try:
            _await_health(port, server, seconds)
            status, body = _request(port, "POST", "/predict", json.dumps({"instances": [text]}))
            if status != 200:
                raise UserError(f"the serving image answered {status}: {body}")
            return str(json.loads(body)["predictions"][0]["text"])
        finally:
            if server.poll() is None:  # else its number is another process's
                os.killpg(server.pid, signal.SIGTERM)
            server.wait(timeout=30)


def _await_health(port: int, server: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Waits until a server's health route answers 200."""
    end = time.monotonic() + seconds
    while server.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError):
            if _request(port, "GET", "/health")[0] == 200:
                return
        time.sleep(0.5)
    raise UserError(f"the serving image was not healthy within {seconds:g} seconds; its log is above")


def _request(port: int, method: str, route: str, body: str | None = None) -> tuple[int, str]:
    """Status and body of a local server's response."""
    with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request(method, route, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read().decode()


def image_user() -> str:
    """The user to run images as, so that both sides can write in the home folder.

    Returns:
        This user as `uid:gid`; empty, for the image's own user, if this user is root: no stage runs as root.
    """
    return f"{os.getuid()}:{os.getgid()}" if os.getuid() else ""


@contextlib.contextmanager
def shared_with(user: str) -> Iterator[None]:
    """Lets an image's own user write in the folders that are created within the block.

    Args:
        user: From `image_user`; nothing changes unless it is the image's own.
    """
    before = os.umask(0) if not user else None
    try:
        yield
    finally:
        if before is not None:
            os.umask(before)
