"""A FastAPI server on CTranslate2 that collects concurrent requests into batches.

Runs in its own environment, without Seqline, on the weights that `benchmarks.decode_weights` wrote. While batches are
decoded, further requests wait; the next free worker takes as many of them as a batch holds.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.decode_ctranslate2 import load

TASK: dict[str, Any] = json.loads(os.environ["TASK"])
MAX_BATCH = 64
translate = load(TASK)
waiting: asyncio.Queue[tuple[str, asyncio.Future[str]]] = asyncio.Queue()


async def work(threads: ThreadPoolExecutor) -> None:
    """Decodes what waits, batch after batch."""
    while True:
        batch = [await waiting.get()]
        while len(batch) < MAX_BATCH and not waiting.empty():
            batch.append(waiting.get_nowait())
        outputs = await asyncio.get_running_loop().run_in_executor(threads, translate, [text for text, _ in batch])
        for (_, answer), output in zip(batch, outputs, strict=True):
            if not answer.done():
                answer.set_result(output)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Runs one task for each worker of the engine."""
    threads = ThreadPoolExecutor(TASK["workers"])
    tasks = [asyncio.create_task(work(threads)) for _ in range(TASK["workers"])]
    yield
    for task in tasks:
        task.cancel()


app = FastAPI(lifespan=lifespan)


class Request(BaseModel):
    """The body of a request."""

    instances: list[str]


@app.post("/predict")
async def predict(request: Request) -> dict[str, list[dict[str, str]]]:
    """Returns the outputs of one request."""
    answers = [asyncio.get_running_loop().create_future() for _ in request.instances]
    for text, answer in zip(request.instances, answers, strict=True):
        waiting.put_nowait((text, answer))
    return {"predictions": [{"text": text} for text in await asyncio.gather(*answers)]}
