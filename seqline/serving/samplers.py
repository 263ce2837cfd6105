"""The server's sampler, which follows the endpoint's settings."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from seqline.endpoints.sampling import Sampling
from seqline.serving.metrics import Metrics
from seqline.serving.sampler import Sampler

log = logging.getLogger(__name__)

OFF = Sampling()


class Samplers:
    """Makes a sampler for the current settings, and ends the one before.

    Args:
        model_of: Returns the folder of a version's model.
        metrics: The server's metrics.
    """

    def __init__(self, model_of: Callable[[int], Path | None], metrics: Metrics) -> None:
        self._model_of, self._metrics = model_of, metrics
        self._settings = OFF
        self._sampler: Sampler | None = None
        self._lock = threading.Lock()

    def start(self, settings: Sampling) -> None:
        """Makes the first sampler; returns when it is there.

        Args:
            settings: The settings at the start of the server.
        """
        self._settings = settings
        if settings.share:
            self._make(settings)

    def of(self, settings: Sampling) -> Sampler | None:
        """Returns the sampler; None where nothing is sampled, or not yet after a change.

        Args:
            settings: The current settings.
        """
        if settings is not self._settings:
            if settings != self._settings:
                self._change(settings)
            self._settings = settings
        return self._sampler

    def close(self) -> None:
        """Writes what is left, and ends the sampler."""
        with self._lock:
            sampler, self._sampler, self._settings = self._sampler, None, OFF
        if sampler:
            sampler.close()

    def _change(self, settings: Sampling) -> None:
        with self._lock:
            before, self._sampler, self._settings = self._sampler, None, settings
        if before:
            threading.Thread(target=before.close, name="samples-end").start()
        if settings.share:
            # In a thread: a mounted bucket may take long to make its folder, and requests are answered meanwhile.
            threading.Thread(target=self._make, args=[settings], name="samples-start").start()
        else:
            log.info("answers are not sampled")

    def _make(self, settings: Sampling) -> None:
        try:
            made = Sampler(settings, self._model_of, self._metrics)
        except OSError as error:
            log.error("answers are not sampled: %s cannot be used (%s)", settings.folder, error.strerror or error)
            return
        with self._lock:
            wanted = settings == self._settings
            if wanted:
                self._sampler = made
        if not wanted:  # the settings have changed meanwhile, or the server ends
            made.close()
            return
        log.info(
            "%g%% of the answers are sampled to %s%s",
            100 * settings.share,
            settings.folder,
            ", with their texts" if settings.texts else "",
        )
