"""A monitored endpoint: a folder with a live version, its training figures and the log of its requests."""

import json
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path

import numpy as np

from seqline.artifacts.feedback_log import Feedback, write_feedback
from seqline.artifacts.reference import REFERENCE, TOKEN_BUCKETS, Reference, Sources
from seqline.artifacts.request_log import SampledRequest, write_requests
from seqline.endpoints.local_endpoint import Endpoint, Settings, Version

START = datetime(2026, 11, 1, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
# The tokens of the training corpus are those up to this one, the small ones more often.
TRAINED = 60


def texts(count: int, seed: int, first: int = 0) -> list[list[int]]:
    """Token ids of texts like those of the training corpus; with another first token they are unlike them."""
    draws = np.random.default_rng(seed)
    shares = 1 / np.arange(5, TRAINED + 5)
    return [
        sorted((first + draws.choice(TRAINED, length, p=shares / shares.sum())).tolist())
        for length in draws.integers(5, 20, count)
    ]


@lru_cache
def reference(tokenizer: str = "t" * 64, fewest: int = 4000) -> Reference:
    """The training figures of texts from `texts`."""
    trained = texts(fewest, seed=0)
    weights: Counter[int] = Counter()
    for ids in trained:
        for token in ids:
            weights[token] += (1 << 20) // len(ids)
    lengths = Counter(map(len, trained))
    sources = Sources.of(weights, frozenset(), {"source": lengths, "target": lengths}, rows=fewest)
    sources = replace(sources, scripts={"Latin": 1.0}, languages={"de": 0.02, "en": 0.98})
    return Reference("corpus", tokenizer, "en", sources, surprise=9.0, unusual=0.01, held_out=1000)


def endpoint(folder: Path, found: Reference | None, version: int = 1) -> Path:
    """Makes or changes an endpoint, on which a version is live."""
    made = Endpoint(folder / "demo")
    model = made.model(version)
    model.mkdir(parents=True)
    (model / "saved_model.pb").touch()
    if found:
        found.write(model / REFERENCE)
    Version(version, f"f{version}", "2026-10-01T00:00:00+00:00", "", {}).write(made.path / f"versions/{version}.json")
    made.write(Settings("demo", "127.0.0.1", 8501, traffic={version: 100}, aliases={"champion": version}))
    return made.path


def row(ids: Sequence[int], time: datetime, number: int = 0, **more: object) -> SampledRequest:
    """A sampled request."""
    values: dict[str, object] = {
        "id": uuid.uuid5(uuid.NAMESPACE_OID, f"{time.isoformat()} {number} {ids}").hex, "time": time, "version": "1",
        "interface": "predict", "latency_ms": 20.0, "source_characters": 4 * len(ids), "source_tokens": len(ids),
        "output_characters": 4 * len(ids), "output_tokens": len(ids), "unknown_tokens": 0, "script": "Latin",
        "language": "en", "truncated": False, "empty": False, "copied": False, "score": -0.5,
        "token_buckets": [one % TOKEN_BUCKETS for one in ids],
    }  # fmt: skip
    return SampledRequest(**{**values, **more})  # type: ignore[arg-type]


def log(path: Path, day: int, rows: Sequence[Sequence[int]], **more: object) -> None:
    """Writes the requests of a day."""
    if rows:
        start = START + day * 24 * HOUR
        step = 23 * HOUR / len(rows)
        write_requests(
            path / "samples", [row(ids, start + number * step, number, **more) for number, ids in enumerate(rows)]
        )


def rate(path: Path, day: int, ratings: Sequence[float], **more: object) -> None:
    """Writes ratings of a day."""
    time = START + day * 24 * HOUR + HOUR
    write_feedback(
        path / "samples",
        [Feedback(f"{number:032x}", time, "1", rating=one, **more) for number, one in enumerate(ratings)],  # type: ignore[arg-type]
    )


def end_of(day: int) -> str:
    """The time at which a day's window is collected."""
    return (START + (day + 1) * 24 * HOUR + timedelta(minutes=7)).isoformat()


def contents(folder: Path) -> dict[str, object]:
    """The files of a folder of JSON by name."""
    return {path.name: json.loads(path.read_text()) for path in sorted(folder.rglob("*.json"))}
