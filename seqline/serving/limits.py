"""What a server takes on, and what it refuses."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of a server; a request beyond them is refused with a message that names the limit.

    Attributes:
        body_bytes: Largest request body; Vertex's own limit is 10 MB on a dedicated endpoint, 1.5 MB on a shared one.
        texts: Most texts in a request.
        text_characters: Longest text.
        queue: Most texts that wait; beyond, requests are answered with 429 and Retry-After.
        batch: Most texts given to the model at once; 1 turns batching off.
        beam: Largest beam_size that a request may ask for.
        results: Largest n_best that a request may ask for.
        streams: Most answers that are streamed at once; beyond, 429 and Retry-After.
        seconds: Longest time for a request; beyond, it is answered with 504.
        drain_seconds: Longest time for the requests in flight when the server is told to stop.
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
