"""Limits of a server."""

from dataclasses import dataclass

from seqline.serving.request_errors import Cause, RequestError


@dataclass(frozen=True)
class Limits:
    """Limits of a server; a request beyond them is rejected with a message that names the limit.

    Attributes:
        body_bytes: Largest request body; Vertex's limit is 10 MB on a dedicated endpoint, 1.5 MB on a shared one.
        header_bytes: Largest URL and headers of a request.
        receive_seconds: Time limit of a client to send a request.
        send_seconds: Time limit of a client that does not read its response; then it is disconnected.
        connections: Largest number of connections; at the limit a new one replaces the one that was idle longest.
        texts: Largest number of texts in a request.
        stream_texts: Largest number of texts in a stream; they are one batch of the model.
        text_characters: Longest text.
        characters: Largest number of characters in a request.
        queue: Largest number of queued texts; further requests get 429 and Retry-After.
        batch: Largest batch of the model; 1 disables batching.
        beam: Largest beam_size of a request.
        results: Largest n_best of a request.
        streams: Largest number of concurrent streams; further ones get 429 and Retry-After.
        seconds: Time limit of a request, which then gets 504.
        worker_seconds: Time limit of a worker for a batch or a token of a stream; then it is killed and restarted.
        load_seconds: Time limit of a worker to load its model; then it is killed, and loading is retried.
        drain_seconds: Time limit of the requests in flight when the server stops.
    """

    body_bytes: int = 10_000_000
    header_bytes: int = 32_768
    receive_seconds: float = 30.0
    send_seconds: float = 30.0
    connections: int = 1000
    texts: int = 1024
    stream_texts: int = 8
    text_characters: int = 20_000
    characters: int = 5_000_000
    queue: int = 2048
    batch: int = 64
    beam: int = 16
    results: int = 16
    streams: int = 16
    seconds: float = 60.0
    worker_seconds: float = 60.0
    load_seconds: float = 300.0
    drain_seconds: float = 30.0

    def check_count(self, count: int) -> None:
        """Checks the number of texts in a request.

        Args:
            count: The number, or a lower bound of it.

        Raises:
            RequestError: If there are too many.
        """
        if count > self.texts:
            raise RequestError(Cause.TOO_LARGE, f"too many texts in one request; the limit is {self.texts}")

    def check_length(self, index: int, length: int) -> None:
        """Checks the length of a text.

        Args:
            index: Its position in the request.
            length: Its number of characters.

        Raises:
            RequestError: If it is too long.
        """
        if length > self.text_characters:
            message = f"text {index} has {length} characters; the limit is {self.text_characters}"
            raise RequestError(Cause.TOO_LARGE, message)

    def check_total(self, characters: int) -> None:
        """Checks the number of characters in a request.

        Args:
            characters: The number, or a lower bound of it.

        Raises:
            RequestError: If there are too many.
        """
        if characters > self.characters:
            raise RequestError(Cause.TOO_LARGE, f"too many characters in one request; the limit is {self.characters}")

    def check_queue(self, count: int) -> None:
        """Checks that the queue can hold a request's texts at all: else, a retry would be in vain.

        Args:
            count: The number of texts to queue.

        Raises:
            RequestError: If it cannot.
        """
        if count > self.queue:
            raise RequestError(Cause.TOO_LARGE, f"{count} texts in one request; the queue holds {self.queue}")

    def check_stream(self, count: int) -> None:
        """Checks the number of texts in a stream.

        Args:
            count: The number.

        Raises:
            RequestError: If there are too many.
        """
        if count > self.stream_texts:
            raise RequestError(Cause.TOO_LARGE, f"{count} texts in one stream; the limit is {self.stream_texts}")
