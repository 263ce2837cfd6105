"""Copies of images between registries: real requests to registries on loopback."""

from collections.abc import Iterator

import pytest

from seqline.errors import UserError
from seqline.images.registry import Registries
from tests.stand_ins.docker_registry import DockerRegistry

LAYERS = (b"layer one" * 5000, b"layer two")


@pytest.fixture
def here() -> Iterator[DockerRegistry]:
    with DockerRegistry.running() as running:
        yield running


@pytest.fixture
def there() -> Iterator[DockerRegistry]:
    with DockerRegistry.running() as running:
        yield running


@pytest.mark.parametrize("platforms", [1, 2])
def test_a_copy_has_the_same_digest_and_all_parts(here: DockerRegistry, there: DockerRegistry, platforms: int) -> None:
    source = here.put_image("dev/images/train", *LAYERS, platforms=platforms)
    digest = source.partition("@")[2]
    assert Registries().copy(source, f"{there.host}/prod/images/train@{digest}") is True
    assert there.manifests["prod/images/train"] == here.manifests["dev/images/train"]
    assert there.blobs["prod/images/train"] == here.blobs["dev/images/train"]


def test_a_second_copy_sends_nothing(here: DockerRegistry, there: DockerRegistry) -> None:
    source = here.put_image("dev/train", *LAYERS)
    target = f"{there.host}/prod/train@{source.partition('@')[2]}"
    Registries().copy(source, target)
    there.requests.clear()
    assert Registries().copy(source, target) is False
    assert [one.partition(" ")[0] for one in there.requests] == ["HEAD"]


def test_what_is_there_already_is_not_sent_again(here: DockerRegistry, there: DockerRegistry) -> None:
    Registries().copy(first := here.put_image("dev/train", *LAYERS), f"{there.host}/prod/x@{first.partition('@')[2]}")
    there.requests.clear()
    second = here.put_image("dev/train", LAYERS[0], b"new")
    Registries().copy(second, f"{there.host}/prod/x@{second.partition('@')[2]}")
    assert sum(one.startswith("PUT /v2/prod/x/blobs") for one in there.requests) == 1


@pytest.mark.parametrize("mounts", [True, False])
def test_within_a_registry_blobs_are_mounted_if_it_can(here: DockerRegistry, mounts: bool) -> None:
    here.mounts = mounts
    source = here.put_image("dev/train", *LAYERS)
    Registries().copy(source, f"{here.host}/prod/train@{source.partition('@')[2]}")
    assert here.blobs["prod/train"] == here.blobs["dev/train"]
    assert any(one.startswith("PUT /v2/prod/train/blobs") for one in here.requests) != mounts


def test_a_registry_says_which_token_it_wants(here: DockerRegistry, there: DockerRegistry) -> None:
    here.user = there.user = "oauth2accesstoken:secret-token"
    source = here.put_image("dev/train", *LAYERS)
    target = f"{there.host}/prod/train@{source.partition('@')[2]}"
    Registries("secret-token").copy(source, target)
    assert there.blobs["prod/train"] == here.blobs["dev/train"]
    with pytest.raises(UserError, match=r"401 unauthorized; the caller needs the role roles/artifactregistry\.reader"):
        Registries("another").copy(source, target)
    there.writable = False
    other = here.put_image("dev/train", b"other")
    with pytest.raises(
        UserError, match=r"403 denied; the caller needs the role roles/artifactregistry\.writer"
    ) as caught:
        Registries("secret-token").copy(other, f"{there.host}/prod/train@{other.partition('@')[2]}")
    assert "secret-token" not in str(caught.value)


def test_a_content_that_is_not_its_digest_is_refused(here: DockerRegistry, there: DockerRegistry) -> None:
    source = here.put_image("dev/train", *LAYERS)
    here.damaged = True
    with pytest.raises(UserError, match="has another content than its digest says"):
        Registries().copy(source, f"{there.host}/prod/train@{source.partition('@')[2]}")
    assert there.manifests == {}


@pytest.mark.parametrize("address", ["{host}/dev/train:latest", "{host}/dev/train", "train@sha256:00"])
def test_an_image_without_a_digest_is_refused(here: DockerRegistry, address: str) -> None:
    with pytest.raises(UserError, match="has no digest"):
        Registries().copy(address.format(host=here.host), f"{here.host}/prod/train@sha256:{'0' * 64}")


def test_a_missing_image_and_a_dead_registry_are_named(here: DockerRegistry) -> None:
    digest = f"sha256:{'0' * 64}"
    with pytest.raises(UserError, match=r"127\.0\.0\.1:\d+/dev/none: 404 manifest unknown"):
        Registries().copy(f"{here.host}/dev/none@{digest}", f"{here.host}/prod/none@{digest}")
    with pytest.raises(UserError, match=r"127\.0\.0\.1:1 does not respond"):
        Registries().copy(f"127.0.0.1:1/dev/none@{digest}", f"127.0.0.1:1/prod/none@{digest}")
