"""Limits of a server."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of a server; a request beyond them is rejected with a message that names the limit.

    Attributes:
        body_bytes: Largest request body; Vertex's limit is 10 MB on a dedicated endpoint, 1.5 MB on a shared one.
        texts: Largest number of texts in a request.
        text_characters: Longest text.
        queue: Largest number of queued texts; further requests get 429 and Retry-After.
        batch: Largest batch of the model; 1 disables batching.
        beam: Largest beam_size of a request.
        results: Largest n_best of a request.
        streams: Largest number of concurrent streams; further ones get 429 and Retry-After.
        seconds: Time limit of a request, which then gets 504.
        drain_seconds: Time limit of the requests in flight when the server stops.
    """

    body_bytes: int = 10_000_000
    texts: int = 1024
    text_characters: int = 20_000
    queue: int = 2048
    batch: int = 64
    beam: int = 16
    results: int = 16
    streams: int = 16
    seconds: float = 60.0
    drain_seconds: float = 30.0
