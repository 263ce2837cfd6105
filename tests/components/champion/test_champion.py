import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from seqline.artifacts.opponent import Opponent
from seqline.components.champion.stage import Opponents, champion
from seqline.endpoints.back_end import is_of
from seqline.endpoints.local_endpoint import Endpoint, Settings
from seqline.errors import UserError
from tests import light_models

NONE, IS_CHAMPION = Opponent("none"), Opponent("champion")


@pytest.fixture
def models(tmp_path: Path) -> SimpleNamespace:
    names = ("loud", "quiet", "calm")
    return SimpleNamespace(**{name: light_models.save(tmp_path / name, "upper") for name in names})


@pytest.fixture
def endpoint(tmp_path: Path, models: SimpleNamespace) -> Endpoint:
    """An endpoint that serves version 1, loud."""
    endpoint = Endpoint(tmp_path / "demo")
    endpoint.register(models.loud, "loud", {})
    endpoint.write(Settings("demo", "127.0.0.1", 1, traffic={1: 100}, aliases={"champion": 1}))
    return endpoint


def find(model: Path, endpoint: Endpoint) -> Opponents:
    return champion(model, str(endpoint.path))


def record(endpoint: Endpoint, **changes: str) -> None:
    path = endpoint.path / "versions" / "1.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_without_endpoint_or_live_version_there_is_no_champion(tmp_path: Path, models: SimpleNamespace) -> None:
    assert champion(models.loud, "") == Opponents(NONE, IS_CHAMPION)
    assert champion(models.loud, str(tmp_path / "demo")) == Opponents(NONE, IS_CHAMPION)
    endpoint = Endpoint(tmp_path / "demo")
    endpoint.register(models.loud, "loud", {})
    assert find(models.quiet, endpoint).champion == NONE  # registered is not live


def test_the_live_version_is_the_champion(endpoint: Endpoint, models: SimpleNamespace) -> None:
    found = find(models.quiet, endpoint).champion
    assert (found.standing, found.problem, found.version, found.fingerprint) == ("", "", "1", "loud")
    assert found.address == str(endpoint.model(1))
    assert find(models.quiet, endpoint).champion == found  # so that its evaluation is a cache hit


def test_a_challenger_with_the_same_fingerprint_is_the_champion(endpoint: Endpoint, models: SimpleNamespace) -> None:
    assert find(models.loud, endpoint) == Opponents(Opponent("same", version="1", fingerprint="loud"), IS_CHAMPION)


@pytest.mark.parametrize(
    ("registered", "same"),
    [("", False), ("l", False), ("lou", False), ("loud", True), ("loudest", False), ("LOUD", False)],
)
def test_only_the_same_and_complete_fingerprint_is_the_same_model(registered: str, same: bool) -> None:
    assert is_of(registered, "loud") is same


def test_the_label_of_vertex_is_63_characters_of_the_fingerprint() -> None:
    assert is_of("a" * 63, "A" * 64)
    assert not is_of("a" * 62, "A" * 64)


def delete_files(endpoint: Endpoint) -> None:
    shutil.rmtree(endpoint.model(1))


def delete_model(endpoint: Endpoint) -> None:
    (endpoint.model(1) / "saved_model.pb").unlink()


def delete_record(endpoint: Endpoint) -> None:
    (endpoint.path / "versions" / "1.json").unlink()


def remove_fingerprint(endpoint: Endpoint) -> None:
    record(endpoint, fingerprint="")


def exchange_files(endpoint: Endpoint) -> None:
    light_models.save(endpoint.path / "calm", "lower").rename(endpoint.path / "moved")
    shutil.rmtree(endpoint.model(1))
    (endpoint.path / "moved").rename(endpoint.model(1))


def damage_description(endpoint: Endpoint) -> None:
    (endpoint.model(1) / "model.json").write_text("{")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (delete_files, "version 1: its files are missing: "),
        (delete_model, "version 1: its files are incomplete: "),
        (delete_record, "version 1 is served, but its record is missing"),
        (remove_fingerprint, "version 1 cannot be identified: its fingerprint is missing"),
        (exchange_files, "version 1: its files are another model's: "),
        (damage_description, "model.json is not a JSON object"),
    ],
)
def test_a_champion_that_cannot_be_measured_is_not_none(
    endpoint: Endpoint, models: SimpleNamespace, damage: object, problem: str
) -> None:
    damage(endpoint)  # type: ignore[operator]
    found = find(models.quiet, endpoint)
    assert found.champion.standing == ""
    assert problem in found.champion.problem
    assert found.champion.address == ""
    assert found.best == IS_CHAMPION
    assert find(models.quiet, endpoint).champion != found.champion  # a problem is never a cache hit


def test_files_that_were_restored_are_no_cache_hit(endpoint: Endpoint, models: SimpleNamespace) -> None:
    before = find(models.quiet, endpoint).champion
    file = endpoint.model(1) / "saved_model.pb"
    file.write_text("lower")  # as long as upper
    os.utime(file, (1, 1))
    after = find(models.quiet, endpoint).champion
    assert after.address == before.address
    assert after != before


def test_the_best_version_is_another_than_the_champion_where_its_alias_is(
    endpoint: Endpoint, models: SimpleNamespace
) -> None:
    endpoint.register(models.quiet, "quiet", {})
    aliases = {"champion": 2, "previous": 1, "best": 1}
    endpoint.write(Settings("demo", "127.0.0.1", 1, traffic={2: 100}, aliases=aliases))
    found = find(models.calm, endpoint)
    assert (found.champion.version, found.best.version) == ("2", "1")
    assert found.best.address == str(endpoint.model(1))
    assert find(models.loud, endpoint).best.standing == "same"
    delete_files(endpoint)
    assert "its files are missing" in find(models.calm, endpoint).best.problem
    endpoint.write(Settings("demo", "127.0.0.1", 1, traffic={2: 100}, aliases={**aliases, "best": 2}))
    assert find(models.calm, endpoint).best == IS_CHAMPION


def test_the_component_passes_each_version_with_its_address_as_a_parameter(
    endpoint: Endpoint, models: SimpleNamespace, tmp_path: Path
) -> None:
    from kfp.dsl import Artifact, Model

    from seqline.components.champion.component import champion as component

    opponents = Artifact(uri=str(tmp_path / "opponents"))
    model = Model(uri=str(models.quiet))
    live, best, rolled_back = component.python_func(model=model, opponents=opponents, endpoint=str(endpoint.path))
    assert Opponent.from_parameter(live) == find(models.quiet, endpoint).champion
    assert Opponent.from_parameter(best) == IS_CHAMPION
    assert rolled_back == ""
    assert live["address"] == str(endpoint.model(1))
    # The address of an artifact is the one that the launcher gave it.
    assert opponents.uri == str(tmp_path / "opponents")
    assert json.loads((tmp_path / "opponents" / "opponents.json").read_text()) == {"champion": live, "best": best}


def test_a_challenger_that_was_rolled_back_is_named(endpoint: Endpoint, models: SimpleNamespace) -> None:
    settings = endpoint.read()
    assert settings is not None
    endpoint.write(replace(settings, rolled_back={"quiet": "2026-01-31"}))
    assert find(models.quiet, endpoint).rolled_back == (
        "the model quiet was rolled back on 2026-01-31 and is not deployed again; to deploy it anyway, run "
        "`seqline endpoint allow quiet --endpoint demo` and then the pipeline again"
    )
    assert find(models.calm, endpoint).rolled_back == ""


def test_a_challenger_that_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="contains no exported model"):
        champion(tmp_path, "")


def test_a_challenger_without_a_fingerprint_is_refused(models: SimpleNamespace) -> None:
    path = models.loud / "model.json"
    path.write_text(path.read_text().replace('"loud"', '""'))
    with pytest.raises(UserError, match="has an empty fingerprint"):
        champion(models.loud, "")
