"""The server's sampler, which follows the endpoint's settings."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from seqline.endpoints.sampling import Sampling
from seqline.serving.metrics import Metrics

if TYPE_CHECKING:
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

    def of(self, settings: Sampling) -> "Sampler | None":
        """Returns the sampler; None where nothing is sampled.

        Args:
            settings: The current settings.
        """
        if settings is not self._settings and settings != self._settings:
            self._change(settings)
        self._settings = settings
        return self._sampler

    def close(self) -> None:
        """Writes what is left, and ends the sampler."""
        if self._sampler:
            self._sampler.close()
            self._sampler = None

    def _change(self, settings: Sampling) -> None:
        before, self._sampler = self._sampler, None
        if before:
            threading.Thread(target=before.close, name="samples-end").start()
        if not settings.share:
            log.info("answers are not sampled")
            return
        # What it needs, such as Arrow, a server that samples nothing does without.
        from seqline.serving.sampler import Sampler

        try:
            self._sampler = Sampler(settings, self._model_of, self._metrics)
        except OSError as error:
            log.error("answers are not sampled: %s cannot be made (%s)", settings.folder, error.strerror or error)
            return
        log.info(
            "%g%% of the answers are sampled to %s%s",
            100 * settings.share, settings.folder, ", with their texts" if settings.texts else "",
        )  # fmt: skip
