from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests.servers import Server, running_as_data
from tests.sharing import running_once


@pytest.fixture(scope="session")
def server(toy_models: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server that a session's tests share; it returns upper case, and takes at most 100 texts."""
    model = str(toy_models.loud)
    with running_once(
        tmp_path_factory, "server", lambda folder: running_as_data(folder, model, "--max-texts", "100")
    ) as data:
        yield Server(**data)
