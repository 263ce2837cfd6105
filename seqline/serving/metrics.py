"""A server's metrics, in Prometheus' format."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, generate_latest

from seqline.serving.versions import Versions

SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The metrics of one server.

    Attributes:
        registry: Their registry.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("seqline_requests", "Requests.", ["interface", "version", "result"], registry=registry)
        self.texts = Counter("seqline_texts", "Answered texts.", ["version"], registry=registry)
        self.seconds = Histogram(
            "seqline_request_seconds", "Time to answer a request.", ["version"], buckets=SECONDS, registry=registry
        )
        self.batch_size = Histogram(
            "seqline_batch_size", "Texts in a batch of the model.", ["version"], buckets=SIZES, registry=registry
        )
        self.model_seconds = Histogram(
            "seqline_model_seconds", "Time of the model for a batch.", ["version"], buckets=SECONDS, registry=registry
        )
        self.queue_seconds = Histogram(
            "seqline_queue_seconds",
            "Queue time of a batch's oldest text.",
            ["version"],
            buckets=SECONDS,
            registry=registry,
        )
        self.waiting = Gauge("seqline_queue_texts", "Queued texts.", ["version"], registry=registry)
        self.share = Gauge("seqline_traffic_percent", "Traffic share.", ["version"], registry=registry)
        self.sampled = Counter("seqline_sampled_texts", "Sampled answers.", ["version"], registry=registry)
        self.sample_drops = Counter(
            "seqline_sample_drops",
            "Rows that were dropped: queue (no room), write (samples) and feedback (the folder cannot be written, or "
            "the process that writes was killed).",
            ["reason"],
            registry=registry,
        )
        self.rating = Summary("seqline_feedback_rating", "Ratings of answers.", ["version"], registry=registry)
        self.corrections = Counter(
            "seqline_feedback_corrections", "Corrections of answers.", ["version"], registry=registry
        )
        self.restarts = Gauge("seqline_worker_restarts", "Workers that crashed and were restarted.", registry=registry)

    def on_batch(self, version: int, size: int, seconds: float, waited: float) -> None:
        """Records a batch.

        Args:
            version: The version that answered.
            size: Number of texts.
            seconds: Time of the model.
            waited: Queue time of its oldest text.
        """
        self.batch_size.labels(version).observe(size)
        self.model_seconds.labels(version).observe(seconds)
        self.queue_seconds.labels(version).observe(waited)

    def text(self, versions: Versions) -> bytes:
        """Returns all metrics in Prometheus' text format.

        Args:
            versions: The loaded versions.
        """
        self.waiting.clear()
        self.share.clear()
        for loaded in versions.loaded:
            self.waiting.labels(loaded.version).set(loaded.batcher.waiting)
            self.share.labels(loaded.version).set(versions.applied.traffic.get(loaded.version, 0))
        self.restarts.set(versions.restarts)
        return generate_latest(self.registry)
