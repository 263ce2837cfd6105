"""Packages with plugins in the images: a requirement, a wheel or a project's folder."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from seqline.errors import UserError
from seqline.images.build import Engine
from seqline.paths import expanded

DOCKERFILE = Path("plugins") / "Dockerfile"
LOCKED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)


@contextmanager
def gathered(given: Sequence[str]) -> Iterator[Path]:
    """Makes the context of builds: what to install, and the wheels of what is on this machine.

    Args:
        given: Requirements such as `my-plugin==1.2`, wheels, or folders of projects, which are built here.

    Yields:
        A folder, which is deleted at the end.

    Raises:
        UserError: If one is no requirement and no path, or a project does not build.
    """
    with tempfile.TemporaryDirectory(prefix="seqline-plugins-") as name:
        folder = Path(name)
        (folder / "wheels").mkdir()
        lines = [_requirement(one, folder / "wheels") for one in given]
        (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        yield folder


def add_packages(
    engine: Engine, containers: Path, image: str, tag: str, context: Path, arguments: Mapping[str, str]
) -> None:
    """Adds the packages to an image that was built, under the same name.

    Args:
        engine: Builds it.
        containers: The folder of the Dockerfiles.
        image: The image's name, whose locked set stays as it is.
        tag: Its name and tag.
        context: From `gathered`.
        arguments: `ARG` values of the Dockerfile, such as BASE_IMAGE; others are left out.

    Raises:
        UserError: If the build fails, such as where a package needs another version than the locked one.
    """
    dockerfile = containers / DOCKERFILE
    locked = (containers / image / "requirements.txt").read_text(encoding="utf-8")
    constraints = "".join(f"{name}=={version}\n" for name, version in LOCKED.findall(locked))
    (context / "constraints.txt").write_text(constraints, encoding="utf-8")
    installed = " ".join((context / "requirements.txt").read_text(encoding="utf-8").split())
    given = {"IMAGE": tag, "PLUGINS": installed}
    given |= {name: value for name, value in arguments.items() if name == "BASE_IMAGE"}
    engine.build_file(dockerfile, context, tag, given)


def _requirement(given: str, wheels: Path) -> str:
    """Returns the line of requirements.txt; a wheel is put into the folder."""
    path = expanded(given)
    if path.is_dir():
        before = set(wheels.iterdir())
        command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(wheels), str(path.resolve())]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        made = set(wheels.iterdir()) - before
        if done.returncode or len(made) != 1:
            reason = (done.stderr.strip().splitlines() or ["no wheel was made"])[-1]
            raise UserError(f"--with {given}: the project does not build: {reason}; `pip wheel {given}` shows more")
        return _of_wheel(made.pop(), given)
    if path.suffix == ".whl":
        if not path.is_file():
            raise UserError(f"--with {given}: there is no such wheel")
        (wheels / path.name).write_bytes(path.read_bytes())
        return _of_wheel(path, given)
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return str(Requirement(given))
    except InvalidRequirement:
        raise UserError(
            f"--with {given}: it is not a requirement such as my-plugin==1.2, and there is no folder or wheel of that "
            "name"
        ) from None


def _of_wheel(wheel: Path, given: str) -> str:
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        name, version, _, _ = parse_wheel_filename(wheel.name)
    except InvalidWheelFilename:
        raise UserError(f"--with {given}: {wheel.name} is not the name of a wheel; do not rename wheels") from None
    return f"{name}=={version}"
