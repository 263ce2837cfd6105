"""The server under load, compared with itself without batching, the SavedModel alone, and peers in FastAPI.

    python -m benchmarks.serve --run .seqline/runs/NAME --texts test.tsv.gz

Clients run in another process on the same machine; every request is one sentence. Metrics:

    vs_unbatched             throughput with 64 clients, over the same server with --max-batch 1
    of_direct_b64            throughput with 64 clients, over the SavedModel called in batches of 64
    p99_over_p50             of the latency, with random arrivals at 70% of that throughput
    lone_p99_over_p50        the same with one client: long texts take longer, also where nothing waits
    vs_fastapi_ctranslate2   throughput over a FastAPI server on CTranslate2 (float32, same weights) that collects
                             requests into batches, at its best setting
    ctranslate2_p99_over_p50  of that server's latency, with random arrivals at 70% of its throughput; the best setting
    lone_latency_ratio       one client's median latency, over that server's
    inflight_short_over_lone  a short text's median latency while long ones are decoded, over its latency alone
    vs_fastapi_hugging_face  throughput over a plain FastAPI server that calls `generate`, at its best setting
    failed                   number of failed requests
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.decode import PEERS as ENGINES
from benchmarks.decode import settings
from benchmarks.decode_weights import write_weights
from benchmarks.environments import HUGGING_FACE, environment, run_module
from benchmarks.results import finish, parser, show
from benchmarks.serving.processes import free_port
from seqline.artifacts.checkpoint import Checkpoint
from seqline.artifacts.exported_model import ExportedModel
from seqline.endpoints.ports import DIRECT
from seqline.errors import UserError

PEERS = ("ctranslate2", "hugging_face")
FASTAPI = ["fastapi==0.120.4", "uvicorn==0.38.0", "httptools==0.7.1", "uvloop==0.22.1"]
CLIENTS = 64
HIGHEST, STEADY, LONE = f"{CLIENTS} clients", "random arrivals at 70% of that", "one client"


def main() -> int:
    """Runs the benchmark."""
    flags = parser("serve", __doc__.splitlines()[0])
    flags.add_argument("--run", type=Path, required=True, help="folder of a run, with its model and checkpoint")
    flags.add_argument("--texts", type=Path, required=True, help="corpus whose sources are sent, such as test.tsv.gz")
    flags.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS), help="all by default")
    args = flags.parse_args()
    seconds = 8.0 if args.quick else 25.0
    model = args.run / "export" / "model"
    direct = _run_module("benchmarks.serving.direct", model=model, texts=args.texts, seconds=seconds)
    with server(model) as url:
        run_load(url, args.texts, seconds=3)
        batched = run_load(url, args.texts, seconds=seconds)
        steady = run_load(url, args.texts, seconds=2 * seconds, rate=0.7 * batched["per_second"])
        alone = run_load(url, args.texts, seconds=seconds, clients=1)
        inflight = _run_module("benchmarks.serving.inflight", url=url, texts=args.texts, seconds=seconds)
    with server(model, "--max-batch", "1") as url:
        run_load(url, args.texts, seconds=3)
        unbatched = run_load(url, args.texts, seconds=seconds)
    rows = [
        ["SavedModel, batches of 64", direct["per_second"], "", ""],
        [f"server, {HIGHEST}", *_row(batched)],
        [f"server, {STEADY}", *_row(steady)],
        [f"server, {LONE}", *_row(alone)],
        [f"server without batching, {HIGHEST}", *_row(unbatched)],
    ]
    metrics = {
        "vs_unbatched": batched["per_second"] / unbatched["per_second"],
        "of_direct_b64": batched["per_second"] / direct["per_second"],
        "p99_over_p50": steady["p99"] / steady["p50"],
        "lone_p99_over_p50": alone["p99"] / alone["p50"],
        "inflight_short_over_lone": inflight["beside"] / inflight["lone"],
    }
    checkpoint, exported = Checkpoint(args.run / "train" / "checkpoint"), ExportedModel(model)
    if "ctranslate2" in args.peers:
        peers = ctranslate2(args.texts, checkpoint, exported, seconds)
        for name, loads in peers.items():
            rows += [[f"{name}, {kind}", *_row(load)] for kind, load in loads.items()]
        best = max(loads[HIGHEST]["per_second"] for loads in peers.values())
        metrics["vs_fastapi_ctranslate2"] = batched["per_second"] / best
        metrics["lone_latency_ratio"] = alone["p50"] / min(loads[LONE]["p50"] for loads in peers.values())
        metrics["ctranslate2_p99_over_p50"] = min(
            loads[STEADY]["p99"] / loads[STEADY]["p50"] for loads in peers.values()
        )
    if "hugging_face" in args.peers:
        loads = hugging_face(args.texts, checkpoint, exported, direct["words"], seconds)
        rows += [[name, *_row(load)] for name, load in loads.items()]
        metrics["vs_fastapi_hugging_face"] = batched["per_second"] / max(load["per_second"] for load in loads.values())
    show("One sentence per request", ["server", "requests/s", "p50 ms", "p99 ms"], rows)
    failed = sum(sum(load["failed"].values()) for load in (batched, steady, alone, unbatched)) + inflight["failed"]
    finish({**metrics, "failed": float(failed)}, args.json)
    return 0


@contextlib.contextmanager
def server(model: Path, *flags: str) -> Iterator[str]:
    """Runs Seqline's server on a model.

    Args:
        model: The exported model.
        *flags: Further flags.

    Yields:
        The URL of its predict method.
    """
    with server_process(model, *flags) as (url, _):
        yield url


@contextlib.contextmanager
def server_process(model: Path, *flags: str) -> Iterator[tuple[str, int]]:
    """Runs Seqline's server on a model.

    Args:
        model: The exported model.
        *flags: Further flags.

    Yields:
        The URL of its predict method, and its process.
    """
    port = free_port()
    command = [sys.executable, "-m", "seqline.serving", "--model", str(model), "--host", "127.0.0.1"]
    with _running([*command, "--port", str(port), *flags], f"http://127.0.0.1:{port}/healthz") as pid:
        yield f"http://127.0.0.1:{port}/v1/models/model:predict", pid


def ctranslate2(
    texts: Path, checkpoint: Checkpoint, model: ExportedModel, seconds: float
) -> dict[str, dict[str, dict[str, Any]]]:
    """Measures the peer with all cores for one batch at a time, and with one core for each of several batches.

    Args:
        texts: Corpus whose sources are sent.
        checkpoint: The model's weights and its tokenizer.
        model: The exported model, for the options of its search.
        seconds: Time to measure each.

    Returns:
        For each setting, the results of the load generator for each kind of load.
    """
    python = environment("ctranslate2-server", [*ENGINES["ctranslate2"], *FASTAPI])
    decoding = model.read_description().decoding
    assert decoding is not None
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        task = {
            **write_weights(checkpoint, Path(folder) / "weights.npz"),
            "tokenizer": str(checkpoint.tokenizer),
            "quantization": None,
            "beam_size": decoding.beam_size,
            "length_penalty": decoding.length_penalty,
            "max_output_length": decoding.max_output_length,
        }
        task["converted"] = run_module(python, "benchmarks.serving.ctranslate2_convert", task)["converted"]
        for setting in settings():
            port = free_port()
            command = [str(python), "-m", "uvicorn", "benchmarks.serving.ctranslate2_fastapi:app", "--port", str(port)]
            variables = {**os.environ, "TASK": json.dumps(task | setting)}
            with _running([*command, "--log-level", "warning"], f"http://127.0.0.1:{port}/docs", variables):
                url = f"http://127.0.0.1:{port}/predict"
                run_load(url, texts, seconds=3)
                highest = run_load(url, texts, seconds=seconds)
                steady = run_load(url, texts, seconds=2 * seconds, rate=0.7 * highest["per_second"])
                loads = {HIGHEST: highest, STEADY: steady, LONE: run_load(url, texts, seconds=seconds, clients=1)}
            found["FastAPI and CTranslate2, {workers} x {threads}".format(**setting)] = loads
        shutil.rmtree(task["converted"])
    return found


def hugging_face(
    texts: Path, checkpoint: Checkpoint, model: ExportedModel, words: float, seconds: float
) -> dict[str, dict[str, Any]]:
    """Measures the peer with one process on all cores, and with one process per core.

    Args:
        texts: Corpus whose sources are sent.
        checkpoint: The model's shape and its tokenizer.
        model: The exported model, for the beam size.
        words: Mean number of words in Seqline's outputs; a word is about 1.3 tokens.
        seconds: Time to measure each.

    Returns:
        The result of the load generator for each number of processes.
    """
    python = environment("hugging-face-server", [*HUGGING_FACE, *FASTAPI])
    config = checkpoint.read_config().model
    cores = len(os.sched_getaffinity(0))
    found = {}
    decoding = model.read_description().decoding
    assert decoding is not None
    for workers in sorted({1, cores}):
        port = free_port()
        variables = {
            **os.environ,
            "SHAPE": " ".join(f"{name}={value}" for name, value in config.items() if isinstance(value, int)),
            "TOKENIZER": str(checkpoint.tokenizer),
            "THREADS": str(cores // workers),
            "LENGTH": str(round(1.3 * words) + 1),
            "BEAMS": str(decoding.beam_size),
        }
        command = [str(python), "-m", "uvicorn", "hugging_face:app", "--port", str(port), "--log-level", "warning"]
        command += ["--workers", str(workers), "--app-dir", str(Path(__file__).parent / "serving")]
        with _running(command, f"http://127.0.0.1:{port}/docs", variables):
            run_load(f"http://127.0.0.1:{port}/predict", texts, seconds=3)
            load = run_load(f"http://127.0.0.1:{port}/predict", texts, seconds=seconds)
        found[f"FastAPI and Hugging Face, {workers} processes"] = load
    return found


@contextlib.contextmanager
def _running(command: list[str], health: str, variables: dict[str, str] | None = None) -> Iterator[int]:
    process = subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 180
        while not _healthy(health):
            if process.poll() is not None or time.monotonic() > deadline:
                raise UserError(f"{' '.join(command)} did not start")
            time.sleep(0.2)
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


def _healthy(url: str) -> bool:
    try:
        with DIRECT.open(url, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def run_load(
    url: str, texts: Path, seconds: float, rate: float | None = None, clients: int = CLIENTS, lead: float = 0.0
) -> dict[str, Any]:
    """Runs the load generator.

    Args:
        url: URL of the predict method.
        texts: Corpus whose sources are sent.
        seconds: Its duration.
        rate: Requests a second; None for the highest load.
        clients: Number of clients.
        lead: Seconds of load before those that count, without a rate.

    Returns:
        What it prints.
    """
    paced = {"lead": lead} if rate is None else {"rate": rate}
    return _run_module("benchmarks.serving.load", url=url, texts=texts, clients=clients, seconds=seconds, **paced)


def _run_module(module: str, **flags: object) -> dict[str, Any]:
    words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    done = subprocess.run([sys.executable, "-m", module, *words], stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout))


def _row(load: dict[str, Any]) -> list[object]:
    return [load["per_second"], load["p50"], load["p99"]]


if __name__ == "__main__":
    sys.exit(main())
