"""Workers that hang, with real processes and the stand-in of TensorFlow."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from seqline.errors import UserError
from seqline.serving.answers import Answer, frame
from seqline.serving.engine import Device, Engine, EngineGoneError
from seqline.serving.garbage import YOUNG_OBJECTS
from seqline.serving.limits import Limits
from tests import light_models

DEVICE = Device(1, 1)


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in light_models.environment().items():
        monkeypatch.setenv(name, value)


def run(model: Path, limits: Limits, use: Callable[[Engine], Awaitable[None]]) -> None:
    async def main() -> None:
        engine = await Engine.start(model, DEVICE, limits)
        try:
            await asyncio.wait_for(use(engine), 60)
        finally:
            await engine.stop()

    asyncio.run(main())


def test_a_worker_that_does_not_load_in_time_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Recorded(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    model = light_models.save(tmp_path / "endless", "endless")
    with pytest.raises(UserError, match=r"did not load .*endless within 0.5 s"):
        asyncio.run(Engine.start(model, DEVICE, Limits(load_seconds=0.5)))
    assert started[0].poll() == -signal.SIGKILL


def test_a_worker_that_does_not_answer_in_time_is_killed(tmp_path: Path) -> None:
    model = light_models.save(tmp_path / "hanging", "hanging")
    (model / "hang").touch()

    async def use(engine: Engine) -> None:
        assert (await engine.predict(["a"], ()))[0] == [Answer("A", 0.0)]
        with pytest.raises(EngineGoneError):
            await engine.predict(["hang"], ())
        await engine.gone
        assert not Path(f"/proc/{engine.pid}").exists()

    run(model, Limits(worker_seconds=1.0), use)


def test_a_worker_that_is_stopped_is_killed_also_during_a_stream(tmp_path: Path) -> None:
    async def use(engine: Engine) -> None:
        os.kill(engine.pid, signal.SIGSTOP)
        stream = engine.stream(["a"], ())
        with pytest.raises(EngineGoneError):
            await anext(stream)
        await engine.gone

    run(light_models.save(tmp_path / "upper", "upper"), Limits(worker_seconds=0.5), use)


def test_a_worker_that_hangs_in_a_stream_whose_client_has_left_is_killed(tmp_path: Path) -> None:
    async def use(engine: Engine) -> None:
        os.kill(engine.pid, signal.SIGSTOP)
        stream = engine.stream(["a"], ())
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(stream), 0.01)
        await stream.aclose()
        await engine.gone

    run(light_models.save(tmp_path / "upper", "upper"), Limits(worker_seconds=0.5), use)


def test_a_worker_that_sends_nonsense_is_killed(tmp_path: Path) -> None:
    async def use(engine: Engine) -> None:
        request = asyncio.create_task(engine.predict(["a"], ()))
        engine._reader.feed_data(frame({"nonsense": 1}))
        with pytest.raises(EngineGoneError):
            await request
        await engine.gone

    run(light_models.save(tmp_path / "upper", "upper"), Limits(), use)


def test_sigterm_and_ctrl_c_do_not_end_a_worker_but_the_server_does(tmp_path: Path) -> None:
    async def use(engine: Engine) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(engine.pid, number)
            assert (await engine.predict(["a"], ()))[0] == [Answer("A", 0.0)]
        await engine.stop()
        assert engine._process.returncode == 0

    run(light_models.save(tmp_path / "upper", "upper"), Limits(), use)


def test_a_worker_keeps_freed_memory_and_exempts_its_model_from_garbage_collections(tmp_path: Path) -> None:
    async def use(engine: Engine) -> None:
        (answer,), _ = await engine.predict(["a"], ())
        assert json.loads(answer.text) == {"frozen": True, "threshold": YOUNG_OBJECTS, "kept": True}

    run(light_models.save(tmp_path / "memory", "memory"), Limits(), use)
