"""What a server counts, in Prometheus' form."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from seqline.serving.versions import Versions

SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The counters of one server.

    Attributes:
        registry: All of them.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("seqline_requests", "Requests.", ["interface", "version", "result"], registry=registry)
        self.texts = Counter("seqline_texts", "Texts that were answered.", ["version"], registry=registry)
        self.seconds = Histogram(
            "seqline_request_seconds", "Time to answer a request.", ["version"], buckets=SECONDS, registry=registry
        )
        self.batch_size = Histogram(
            "seqline_batch_size", "Texts given to the model at once.", ["version"], buckets=SIZES, registry=registry
        )
        self.model_seconds = Histogram(
            "seqline_model_seconds", "Time of the model for a batch.", ["version"], buckets=SECONDS, registry=registry
        )
        self.queue_seconds = Histogram(
            "seqline_queue_seconds",
            "Wait of a batch's oldest text.",
            ["version"],
            buckets=SECONDS,
            registry=registry,
        )
        self.waiting = Gauge("seqline_queue_texts", "Texts that wait.", ["version"], registry=registry)
        self.share = Gauge("seqline_traffic_percent", "Share of the requests.", ["version"], registry=registry)
        self.restarts = Gauge(
            "seqline_worker_restarts", "Workers that ended by themselves and were started again.", registry=registry
        )

    def on_batch(self, version: int, size: int, seconds: float, waited: float) -> None:
        """Counts a batch.

        Args:
            version: Who answered.
            size: Texts in it.
            seconds: Time of the model.
            waited: Wait of its oldest text.
        """
        self.batch_size.labels(version).observe(size)
        self.model_seconds.labels(version).observe(seconds)
        self.queue_seconds.labels(version).observe(waited)

    def text(self, versions: Versions) -> bytes:
        """Returns everything in Prometheus' text form.

        Args:
            versions: What is loaded now.
        """
        self.waiting.clear()
        self.share.clear()
        for loaded in versions.loaded:
            self.waiting.labels(loaded.version).set(loaded.batcher.waiting)
            self.share.labels(loaded.version).set(versions.applied.traffic.get(loaded.version, 0))
        self.restarts.set(versions.restarts)
        return generate_latest(self.registry)
