"""Engines: found, and used to build, push and run images."""

import os
from pathlib import Path

import pytest
import yaml

from seqline.errors import UserError
from seqline.images.build import Container, Engine, find_images, write_pins

DOCKER = """#!/bin/sh
echo "$@" >> {log}
case "$1" in
  build) exit {build_code} ;;
  images) echo "1.05 GB" ;;
  from) echo work-1 ;;
  image) echo '["other/serve@sha256:000", "here/seqline/serve@sha256:'{digits}'"]' ;;
  push) for word; do case "$word" in --digestfile=*) echo sha256:{digits} > "${{word#*=}}" ;; esac; done
    exit {push_code} ;;
esac
"""
DIGITS = "0123456789abcdef" * 4


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "commands.txt"


def program(folder: Path, name: str, log: Path, build_code: int = 0, push_code: int = 0) -> Engine:
    """A program that logs its arguments."""
    path = folder / name
    path.write_text(DOCKER.format(log=log, build_code=build_code, push_code=push_code, digits=DIGITS))
    path.chmod(0o755)
    return Engine((str(path),))


def test_an_unknown_engine_is_rejected_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match="'dockr' is unknown; did you mean 'docker'"):
        Engine.find("dockr")


def test_a_missing_engine_is_named() -> None:
    with pytest.raises(UserError, match="`/nowhere/buildah info` fails"):
        Engine.find("/nowhere/buildah")


def test_no_engine_at_all_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="neither docker nor buildah"):
        Engine.find()


def test_the_first_engine_that_works_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: Path) -> None:
    program(tmp_path, "buildah", log)
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    assert Engine.find().kind == "buildah"


def test_options_of_the_engine_come_before_its_command(tmp_path: Path, log: Path) -> None:
    buildah = program(tmp_path, "buildah", log)
    engine = Engine((*buildah.command, "--storage-driver", "vfs"))
    engine.build(Path("containers"), "serve", "seqline/serve:1", {"VERSION": "1"}, ["--no-cache"])
    assert log.read_text() == (
        "--storage-driver vfs build --file=containers/Dockerfile --target=serve --tag=seqline/serve:1 --no-cache "
        "--build-arg=IMAGE=serve --build-arg=VERSION=1 --format=docker .\n"
    )


def test_a_failing_build_is_an_error(tmp_path: Path, log: Path) -> None:
    with pytest.raises(UserError, match="building seqline/serve:1 failed"):
        program(tmp_path, "docker", log, build_code=3).build(Path("c"), "serve", "seqline/serve:1", {}, [])


def test_buildahs_size_is_read_in_bytes(tmp_path: Path, log: Path) -> None:
    assert program(tmp_path, "buildah", log).size("seqline/tokenize:1") == 1_050_000_000


@pytest.mark.parametrize("name", ["docker", "buildah"])
def test_a_pushed_image_has_its_registrys_digest(tmp_path: Path, log: Path, name: str) -> None:
    assert program(tmp_path, name, log).push("here/seqline/serve:1", ["--quiet"]) == f"sha256:{DIGITS}"
    assert log.read_text().splitlines()[0].endswith(" --quiet here/seqline/serve:1")


def test_an_image_that_the_registry_rejects_is_an_error(tmp_path: Path, log: Path) -> None:
    with pytest.raises(UserError, match="pushing here/serve:1 failed"):
        program(tmp_path, "docker", log, push_code=1).push("here/serve:1")


def test_digests_of_the_same_repository_add_up(tmp_path: Path) -> None:
    def pinned() -> dict[str, object]:
        return yaml.safe_load((tmp_path / "images.yaml").read_text())["images"]

    write_pins(tmp_path / "images.yaml", "here/seqline", {"serve": "sha256:1", "train": "sha256:2"})
    write_pins(tmp_path / "images.yaml", "here/seqline", {"serve": "sha256:3"})
    assert pinned() == {"repository": "here/seqline", "digests": {"serve": "sha256:3", "train": "sha256:2"}}
    write_pins(tmp_path / "images.yaml", "there/seqline", {"train": "sha256:4"})
    assert pinned() == {"repository": "there/seqline", "digests": {"train": "sha256:4"}}


def test_another_file_is_not_overwritten_with_digests(tmp_path: Path) -> None:
    (tmp_path / "seqline.yaml").write_text("parameters: {}")
    with pytest.raises(UserError, match="is not a file of digests"):
        write_pins(tmp_path / "seqline.yaml", "here", {"serve": "sha256:1"})


def test_a_command_in_docker_replaces_the_entry_point_and_sees_the_folder() -> None:
    command = Container(Engine(("docker",)), "seqline/serve:1").wrap(["sh", "-c", "x"], [Path("/a")], {"N": "v"}, "7:8")
    assert command[:2] == ["docker", "run"]
    assert {"--volume=/a:/a", "--env=N=v", "--user=7:8", "--rm", "--entrypoint=sh"} <= set(command)
    assert command[-3:] == ["seqline/serve:1", "-c", "x"]


def test_buildahs_working_container_is_removed_even_after_an_error(tmp_path: Path, log: Path) -> None:
    engine = program(tmp_path, "buildah", log)
    with pytest.raises(ZeroDivisionError), engine.container("seqline/serve:1") as container:
        assert container.wrap(["id"])[-3:] == ["work-1", "--", "id"]
        _ = 1 / 0
    assert log.read_text().splitlines()[-1] == "rm work-1"


def test_images_are_the_folders_with_locked_requirements(tmp_path: Path) -> None:
    for name in ("serve", "train"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "requirements.txt").touch()
    (tmp_path / "Dockerfile").touch()
    assert find_images(tmp_path, []) == ["serve", "train"]
    with pytest.raises(UserError, match=r"no image 'serv'.*did you mean 'serve'"):
        find_images(tmp_path, ["serv"])
    with pytest.raises(UserError, match="no Dockerfile"):
        find_images(tmp_path / "serve", [])
