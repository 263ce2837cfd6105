"""The images of `containers/`: built, pushed and run with docker or buildah."""

import json
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqline.atomic import atomic_write
from seqline.errors import UserError
from seqline.names import nearest

ENGINES = ("docker", "buildah")


def find_images(containers: Path, names: Sequence[str]) -> list[str]:
    """Checks the names of images.

    Args:
        containers: The folder of the Dockerfile and the locked requirements, one folder per image.
        names: The requested images; empty for all.

    Returns:
        The names.

    Raises:
        UserError: If the folder has no Dockerfile, or no image of that name.
    """
    known = sorted(path.parent.name for path in containers.glob("*/requirements.txt"))
    if not known or not (containers / "Dockerfile").is_file():
        raise UserError(f"there is no Dockerfile in {containers}; give the folder of one with --containers")
    for name in names:
        if name not in known:
            raise UserError(f"there is no image {name!r} in {containers}; {nearest(name, known)}")
    return list(names) or known


def write_pins(path: Path, repository: str, digests: Mapping[str, str]) -> None:
    """Writes the digests of images to a configuration file; digests of other images in it are unchanged.

    Args:
        path: The YAML file.
        repository: The prefix of the images' names.
        digests: Digests by image.

    Raises:
        UserError: If the file exists and has other content.
    """
    import yaml

    before: dict[str, str] = {}
    if path.exists():
        try:
            images = yaml.safe_load(path.read_text(encoding="utf-8"))["images"]
            before = images["digests"] if images["repository"] == repository else {}
        except (yaml.YAMLError, KeyError, TypeError):
            raise UserError(f"{path} is not a file of digests; set another with --digests, or delete it") from None
    pins = {"images": {"repository": repository, "digests": {**before, **digests}}}
    atomic_write(path, yaml.safe_dump(pins))


@dataclass(frozen=True)
class Container:
    """An image in which commands can be run.

    Attributes:
        engine: Runs it.
        name: The image's name, or the working container's if the engine needs one.
    """

    engine: "Engine"
    name: str

    def wrap(
        self,
        command: Sequence[str],
        volumes: Sequence[Path] = (),
        environment: Mapping[str, str] | None = None,
        user: str = "",
    ) -> list[str]:
        """Returns the engine's command that runs a command inside.

        Args:
            command: Program and arguments.
            volumes: Folders that are mounted at the same path.
            environment: Additional variables.
            user: `uid:gid` to run as; empty for the image's own user.
        """
        options = [f"--volume={path}:{path}" for path in volumes]
        options += [f"--env={name}={value}" for name, value in (environment or {}).items()]
        options += [f"--user={user}"] if user else []
        if self.engine.kind == "buildah":
            return [*self.engine.command, "run", "--network=host", *options, self.name, "--", *command]
        program, *arguments = command
        options += ["--rm", "--network=host", f"--entrypoint={program}"]
        return [*self.engine.command, "run", *options, self.name, *arguments]

    def read(self, command: Sequence[str]) -> str:
        """Returns the output of a command inside.

        Args:
            command: Program and arguments.

        Raises:
            UserError: If it fails.
        """
        done = subprocess.run(self.wrap(command), capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(f"`{command[0]}` fails in {self.name}: {done.stderr.strip()}")
        return done.stdout


@dataclass(frozen=True)
class Engine:
    """The program that builds and runs images.

    Attributes:
        command: The program and its global options, such as `("buildah", "--storage-driver", "vfs")`.
    """

    command: tuple[str, ...]

    @property
    def kind(self) -> str:
        """`docker` or `buildah`."""
        return Path(self.command[0]).name

    @classmethod
    def find(cls, given: str = "") -> "Engine":
        """Finds the given engine, or else the first that works.

        Args:
            given: A command: `docker` or `buildah`, options may follow.

        Raises:
            UserError: If the command is another program, or none works.
        """
        if given:
            engine = cls(tuple(shlex.split(given)))
            if engine.kind not in ENGINES:
                raise UserError(f"--engine: {engine.kind!r} is unknown; {nearest(engine.kind, ENGINES)}")
            if not engine.works():
                raise UserError(f"--engine: `{given} info` fails; is {engine.kind} installed and running?")
            return engine
        for engine in map(cls, zip(ENGINES, strict=True)):
            if engine.works():
                return engine
        raise UserError("neither docker nor buildah works here; install one, or set one with --engine")

    def works(self) -> bool:
        """Whether the engine is installed and, for docker, its daemon runs."""
        if not shutil.which(self.command[0]):
            return False
        return subprocess.run([*self.command, "info"], capture_output=True, check=False).returncode == 0

    def build(
        self, containers: Path, image: str, tag: str, arguments: Mapping[str, str], options: Sequence[str]
    ) -> None:
        """Builds one image.

        Args:
            containers: The folder of the Dockerfile; the build's context is its parent.
            image: The Dockerfile's target.
            tag: The image's name and tag.
            arguments: The Dockerfile's `ARG` values, without `IMAGE`.
            options: Further options of the engine's `build`.

        Raises:
            UserError: If the build fails.
        """
        command = [*self.command, "build", f"--file={containers / 'Dockerfile'}", f"--target={image}", f"--tag={tag}"]
        command += [*options, *(f"--build-arg={name}={value}" for name, value in {"IMAGE": image, **arguments}.items())]
        # Buildah's own format has no HEALTHCHECK.
        command += ["--format=docker"] if self.kind == "buildah" else []
        if subprocess.run([*command, str(containers.parent)], check=False).returncode:
            raise UserError(f"building {tag} failed; the reason is in the output above")

    def build_file(self, dockerfile: Path, context: Path, tag: str, arguments: Mapping[str, str]) -> None:
        """Builds an image of a Dockerfile with one target.

        Args:
            dockerfile: The file.
            context: The folder that it copies from.
            tag: The image's name and tag.
            arguments: The Dockerfile's `ARG` values.

        Raises:
            UserError: If the build fails.
        """
        command = [*self.command, "build", f"--file={dockerfile}", f"--tag={tag}"]
        command += [f"--build-arg={name}={value}" for name, value in arguments.items()]
        command += ["--format=docker"] if self.kind == "buildah" else []
        if subprocess.run([*command, str(context)], check=False).returncode:
            raise UserError(f"building {tag} with {dockerfile} failed; the reason is in the output above")

    def settings(self, image: str) -> dict[str, Any]:
        """Returns the settings that an image has for its containers: Entrypoint, Env, Labels, User and so on.

        Args:
            image: Its name and tag.

        Raises:
            UserError: If the image does not exist.
        """
        if self.kind == "docker":
            (found,) = json.loads(self._run("image", "inspect", image))
            return dict(found["Config"])
        return dict(json.loads(self._run("inspect", "--type=image", image))["Docker"]["config"])

    def size(self, image: str) -> int:
        """Returns an image's size on disk in bytes, layers unpacked.

        Args:
            image: Its name and tag.
        """
        if self.kind == "docker":
            return int(self._run("image", "inspect", "--format={{.Size}}", image))
        shown = self._run("images", "--format={{.Size}}", image).splitlines()[0]
        number, unit = re.match(r"([\d.]+)\s*(\w+)", shown).groups()  # type: ignore[union-attr]
        return int(float(number) * {"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9}[unit.upper()])

    def push(self, image: str, options: Sequence[str] = ()) -> str:
        """Uploads an image to the registry in its name.

        Args:
            image: Its name and tag.
            options: Further options of the engine's `push`.

        Returns:
            Its digest in the registry, `sha256:` and 64 digits.

        Raises:
            UserError: If the registry rejects it.
        """
        with tempfile.TemporaryDirectory() as folder:
            written = Path(folder) / "digest"
            buildah = [f"--digestfile={written}"] if self.kind == "buildah" else []
            if subprocess.run([*self.command, "push", *buildah, *options, image], check=False).returncode:
                raise UserError(f"pushing {image} failed; the reason is in the output above")
            if buildah:
                return written.read_text(encoding="utf-8").strip()
        repository = image.rpartition(":")[0]
        known = json.loads(self._run("image", "inspect", "--format={{json .RepoDigests}}", image))
        return next(name.removeprefix(f"{repository}@") for name in known if name.startswith(f"{repository}@"))

    @contextmanager
    def container(self, image: str) -> Iterator[Container]:
        """Opens an image for commands.

        Args:
            image: Its name and tag.

        Raises:
            UserError: If the image does not exist.
        """
        if self.kind == "docker":
            self._run("image", "inspect", image)
            yield Container(self, image)
            return
        name = self._run("from", "--pull-never", image)
        try:
            yield Container(self, name)
        finally:
            self._run("rm", name)

    def _run(self, *arguments: str) -> str:
        """The output of an engine's command."""
        done = subprocess.run([*self.command, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(f"{self.kind} {arguments[0]} {arguments[-1]}: {done.stderr.strip()}")
        return done.stdout.strip()
