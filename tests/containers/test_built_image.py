"""Images that are really built, by the Dockerfile's own last stages on an empty base: it has no steps to run."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from seqline.errors import UserError
from seqline.images.build import Engine
from seqline.images.packages import add_packages, gathered
from seqline.images.workers import ENTRY_POINT, LABEL, VARIABLE, beam_version

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "containers" / "Dockerfile").read_text()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    storage = tmp_path_factory.mktemp("storage")
    if shutil.which("buildah"):
        found = Engine(
            ("buildah", f"--root={storage / 'root'}", f"--runroot={storage / 'run'}", "--storage-driver=vfs")
        )
        if found.works():
            return found
    try:
        return Engine.find()
    except UserError as error:
        pytest.skip(f"no image can be built here: {error}")


@pytest.fixture(scope="module")
def beam(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A stand-in of Beam's image, of the version that the Dockerfile names."""
    context = tmp_path_factory.mktemp("beam")
    (context / "containers").mkdir()
    (context / "boot").write_text("#!/bin/sh\n")
    (context / "boot").chmod(0o755)
    (context / "containers" / "Dockerfile").write_text(f"FROM scratch AS beam\nCOPY boot {ENTRY_POINT[0]}\n")
    image = f"localhost/beam:{beam_version(re.search(r'(?m)^ARG BEAM_IMAGE=(.+)$', TEXT)[1])}"
    engine.build(context / "containers", "beam", image, {}, [])
    return image


@pytest.mark.parametrize("image", ["tokenize", "infer"])
def test_dataflow_can_start_the_built_image_as_a_worker(engine: Engine, beam: str, image: str, tmp_path: Path) -> None:
    arguments, stages = TEXT[: TEXT.index("\nFROM ")], TEXT[TEXT.index("FROM ${BEAM_IMAGE}") :]
    (tmp_path / "containers").mkdir()
    (tmp_path / "containers" / "Dockerfile").write_text(f"{arguments}\nFROM scratch AS base\nUSER 1000\n{stages}")
    engine.build(tmp_path / "containers", image, f"localhost/{image}:1", {"BEAM_IMAGE": beam}, [])
    settings = engine.settings(f"localhost/{image}:1")
    assert settings["Entrypoint"] == ENTRY_POINT
    assert VARIABLE in settings["Env"]
    assert settings["User"] == "1000"
    locked = (ROOT / "containers" / image / "requirements.txt").read_text()
    assert f"apache-beam=={beam_version(settings['Labels'][LABEL])} " in locked


def test_packages_with_plugins_are_installed_into_a_built_image(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine.kind == "buildah":
        monkeypatch.setenv("BUILDAH_ISOLATION", "chroot")  # the tests may run in a container themselves
    # A shell, and a program in Python's place that stores its arguments and what is mounted.
    root = tmp_path / "root"
    for file in [
        "/bin/sh",
        *re.findall(r"(/\S+)", subprocess.run(["ldd", "/bin/sh"], capture_output=True, text=True).stdout),
    ]:
        if Path(file).is_file():
            (root / file[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(file).resolve(), root / file[1:])
    (root / "bin" / "python3").write_text(
        "#!/bin/sh\n[ -f /tmp/tools/pip/here ] && read -r line < /tmp/plugins/requirements.txt && "
        'echo "$line" "$@" > /installed\n'
    )
    (root / "bin" / "python3").chmod(0o755)
    pip = tmp_path / "base" / "usr" / "local" / "lib" / "python3.11" / "site-packages" / "pip"
    pip.mkdir(parents=True)
    (pip / "here").touch()
    for folder, tag in ((root, "localhost/evaluate:1"), (tmp_path / "base", "localhost/python:3")):
        (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /\nUSER 1000\n")
        engine.build_file(folder / "Dockerfile", folder, tag, {})
    with gathered(["my-plugin==1.2"]) as context:
        given = {"BASE_IMAGE": "localhost/python:3", "VERSION": "1"}
        add_packages(engine, ROOT / "containers", "evaluate", "localhost/evaluate:1", context, given)
    settings = engine.settings("localhost/evaluate:1")
    assert settings["User"] == "1000"
    assert settings["Labels"]["io.github.seqline.plugins"] == "my-plugin==1.2"
    with engine.container("localhost/evaluate:1") as container:
        written = container.read(["/bin/sh", "-c", "read -r line < /installed; echo $line"])
    assert written.startswith("my-plugin==1.2 -m pip install")
    assert "--constraint /tmp/plugins/constraints.txt" in written
