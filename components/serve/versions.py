"""Which versions a server has loaded, and which one is live."""

import logging
import threading
from pathlib import Path

from components.errors import UserError
from components.serve.endpoint import Endpoint
from components.serve.model import Model

log = logging.getLogger(__name__)


class Versions:
    """The loaded versions of an endpoint; follows endpoint.json in a thread of its own.

    A new live version is loaded and has answered once before it takes over, so no request waits for it. A version
    that is not live is loaded when it is asked for; besides the live one, only the last of those is kept.

    Args:
        endpoint: The endpoint's folder.
        poll_seconds: How often endpoint.json is looked at.
    """

    def __init__(self, endpoint: Endpoint, poll_seconds: float = 0.5) -> None:
        self.endpoint, self.poll_seconds = endpoint, poll_seconds
        self.live: int | None = None
        self._loaded: dict[int, Model] = {}
        self._loading = threading.Lock()
        self._stopped = threading.Event()
        self._refused: int | None = None
        self._thread = threading.Thread(target=self._follow, name="versions", daemon=True)

    def start(self) -> None:
        """Starts to follow endpoint.json."""
        self._thread.start()

    def stop(self) -> None:
        """Stops following."""
        self._stopped.set()

    def get(self, version: int | None = None) -> Model | None:
        """Returns a version's model, loading it first where needed.

        Args:
            version: Its number; the live one by default.

        Returns:
            The model; None where there is no such version, or none is live.

        Raises:
            Exception: Whatever keeps the model from loading.
        """
        number = self.live if version is None else version
        if number is None:
            return None
        found = self._loaded.get(number)
        return found or (self._load(number) if self.endpoint.model(number).is_dir() else None)

    def _load(self, number: int) -> Model:
        with self._loading:
            if number in self._loaded:
                return self._loaded[number]
            log.info("loading version %d", number)
            model = Model(self.endpoint.model(number))
            model.predict(["."])
            self._loaded = {
                **{kept: loaded for kept, loaded in self._loaded.items() if kept == self.live},
                number: model,
            }
            log.info("version %d is loaded", number)
            return model

    def _follow(self) -> None:
        while not self._stopped.is_set():
            try:
                settings = self.endpoint.read()
                wanted = settings.live if settings else None
                if wanted is not None and wanted not in (self.live, self._refused):
                    self._take_over(wanted)
            except UserError as error:
                log.error("%s", error)
            self._stopped.wait(self.poll_seconds)

    def _take_over(self, wanted: int) -> None:
        try:
            self._load(wanted)
        except Exception:
            log.exception("version %d does not load; version %s stays live", wanted, self.live)
            self._refused = wanted
            return
        self.live, self._refused = wanted, None
        log.info("version %d is live", wanted)


class SingleVersion:
    """The one model of a serving container, from `AIP_STORAGE_URI`.

    Args:
        path: The exported model's folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.live: int | None = None
        self._model: Model | None = None

    def start(self) -> None:
        """Loads the model in the background, so that the port answers at once."""
        threading.Thread(target=self._load, name="load", daemon=True).start()

    def stop(self) -> None:
        """Nothing to stop."""

    def get(self, version: int | None = None) -> Model | None:
        """Returns the model, once it is loaded."""
        return self._model if version in (None, 1) else None

    def _load(self) -> None:
        try:
            model = Model(self.path)
            model.predict(["."])
        except Exception:
            log.exception("the model at %s does not load", self.path)
            return
        self._model, self.live = model, 1
        log.info("the model is loaded")
