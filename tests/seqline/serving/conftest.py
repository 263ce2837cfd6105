from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests.servers import Server, running_told
from tests.sharing import running_once


@pytest.fixture(scope="session")
def server(toy_models: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The one server that a session's tests share; it shouts, and takes at most 100 texts."""
    place = str(toy_models.loud)
    with running_once(
        tmp_path_factory, "server", lambda folder: running_told(folder, place, "--max-texts", "100")
    ) as told:
        yield Server(**told)
