from pathlib import Path
from types import SimpleNamespace

import pytest

from seqline.components.champion.stage import champion
from seqline.endpoints.local_endpoint import Endpoint, Settings
from seqline.errors import UserError
from tests import light_models


@pytest.fixture
def models(tmp_path: Path) -> SimpleNamespace:
    return SimpleNamespace(**{name: light_models.save(tmp_path / name, "upper") for name in ("loud", "quiet")})


def test_without_endpoint_or_live_version_there_is_no_champion(tmp_path: Path, models: SimpleNamespace) -> None:
    assert champion(models.loud, "") is None
    assert champion(models.loud, str(tmp_path / "demo")) is None


def test_the_live_version_is_the_champion_unless_it_is_the_challenger(tmp_path: Path, models: SimpleNamespace) -> None:
    endpoint = Endpoint(tmp_path / "demo")
    endpoint.register(models.loud, "loud", {})
    assert champion(models.quiet, str(endpoint.path)) is None  # registered is not live
    endpoint.write(Settings("demo", "127.0.0.1", 1, traffic={1: 100}))
    assert champion(models.quiet, str(endpoint.path)) == str(endpoint.model(1))
    assert champion(models.loud, str(endpoint.path)) is None


def test_a_challenger_that_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no exported model"):
        champion(tmp_path, "")
