"""The images of `containers/`: built with docker or buildah, and tried by running the pipeline inside them."""

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

from seqline.atomic import atomic_write
from seqline.errors import UserError
from seqline.names import nearest

ENGINES = ("docker", "buildah")


def find_images(containers: Path, names: Sequence[str]) -> list[str]:
    """Checks the names of images.

    Args:
        containers: The folder of the Dockerfiles, one folder an image.
        names: The images that are asked for; all when there is none.

    Returns:
        The names.

    Raises:
        UserError: If there is no such folder, or no image of that name.
    """
    known = sorted(path.parent.name for path in containers.glob("*/Dockerfile"))
    if not known:
        raise UserError(f"there are no Dockerfiles in {containers}; run this in Seqline's repository")
    for name in names:
        if name not in known:
            raise UserError(f"there is no image {name!r} in {containers}; {nearest(name, known)}")
    return list(names) or known


def revision(folder: Path) -> str:
    """The commit that a folder is at, for an image's label.

    Args:
        folder: Inside a checkout.

    Returns:
        Its hash, with `-dirty` after it where tracked files differ; `unknown` outside a checkout.
    """
    git = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    done = subprocess.run(git, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def write_pins(path: Path, repository: str, digests: Mapping[str, str]) -> None:
    """Writes the digests of images as a configuration file; those that it has of other images stay.

    Args:
        path: The YAML file.
        repository: What comes before an image's name.
        digests: Digests by image.

    Raises:
        UserError: If the file is there and is something else.
    """
    import yaml

    before: dict[str, str] = {}
    if path.exists():
        try:
            images = yaml.safe_load(path.read_text(encoding="utf-8"))["images"]
            before = images["digests"] if images["repository"] == repository else {}
        except (yaml.YAMLError, KeyError, TypeError):
            raise UserError(f"{path} is no file of digests; name another with --digests, or delete it") from None
    pins = {"images": {"repository": repository, "digests": {**before, **digests}}}
    atomic_write(path, yaml.safe_dump(pins))


@dataclass(frozen=True)
class Container:
    """An image in which commands can be run.

    Attributes:
        engine: What runs it.
        name: The image's name, or the working container's where the engine needs one.
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
        """Returns the command of this machine that runs a command inside.

        Args:
            command: Program and arguments.
            volumes: Folders seen inside under their own path.
            environment: Variables added inside.
            user: `uid:gid` to run as, in the place of the image's own user.
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
        """Returns what a command prints inside.

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
    """What builds and runs images.

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
        """Takes the engine that was asked for, or else the first that answers.

        Args:
            given: A command: `docker` or `buildah`, options may follow.

        Raises:
            UserError: If the command is another program, or none is to be found.
        """
        if given:
            engine = cls(tuple(shlex.split(given)))
            if engine.kind not in ENGINES:
                raise UserError(f"--engine: {engine.kind!r} is unknown; {nearest(engine.kind, ENGINES)}")
            if not engine.answers():
                raise UserError(f"--engine: `{given} info` fails; is {engine.kind} installed and running?")
            return engine
        for engine in map(cls, zip(ENGINES, strict=True)):
            if engine.answers():
                return engine
        raise UserError("neither docker nor buildah answers here; install one, or name one with --engine")

    def answers(self) -> bool:
        """Whether the engine is installed and, for docker, its daemon runs."""
        if not shutil.which(self.command[0]):
            return False
        return subprocess.run([*self.command, "info"], capture_output=True, check=False).returncode == 0

    def build(
        self, dockerfile: Path, context: Path, tag: str, arguments: Mapping[str, str], options: Sequence[str]
    ) -> None:
        """Builds one image.

        Args:
            dockerfile: Its Dockerfile.
            context: The folder that the Dockerfile copies from.
            tag: The image's name and tag.
            arguments: The Dockerfile's `ARG` values.
            options: Further options of the engine's `build`, as they are.

        Raises:
            UserError: If the build fails.
        """
        command = [*self.command, "build", f"--file={dockerfile}", f"--tag={tag}", *options]
        command += [f"--build-arg={name}={value}" for name, value in arguments.items()]
        # Buildah's own format has no HEALTHCHECK.
        command += ["--format=docker"] if self.kind == "buildah" else []
        if subprocess.run([*command, str(context)], check=False).returncode:
            raise UserError(f"building {tag} failed; the output above says why")

    def size(self, image: str) -> int:
        """Returns an image's size on disk in bytes, layers unpacked.

        Args:
            image: Its name and tag.
        """
        if self.kind == "docker":
            return int(self._ask("image", "inspect", "--format={{.Size}}", image))
        shown = self._ask("images", "--format={{.Size}}", image).splitlines()[0]
        number, unit = re.match(r"([\d.]+)\s*(\w+)", shown).groups()  # type: ignore[union-attr]
        return int(float(number) * {"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9}[unit.upper()])

    def push(self, image: str, options: Sequence[str] = ()) -> str:
        """Uploads an image to the registry that its name begins with.

        Args:
            image: Its name and tag.
            options: Further options of the engine's `push`, as they are.

        Returns:
            The digest that the registry knows it by, `sha256:` and 64 digits.

        Raises:
            UserError: If the registry does not take it.
        """
        with tempfile.TemporaryDirectory() as folder:
            written = Path(folder) / "digest"
            buildah = [f"--digestfile={written}"] if self.kind == "buildah" else []
            if subprocess.run([*self.command, "push", *buildah, *options, image], check=False).returncode:
                raise UserError(f"pushing {image} failed; the output above says why")
            if buildah:
                return written.read_text(encoding="utf-8").strip()
        repository = image.rpartition(":")[0]
        known = json.loads(self._ask("image", "inspect", "--format={{json .RepoDigests}}", image))
        return next(name.removeprefix(f"{repository}@") for name in known if name.startswith(f"{repository}@"))

    @contextmanager
    def container(self, image: str) -> Iterator[Container]:
        """Opens an image for commands.

        Args:
            image: Its name and tag.

        Raises:
            UserError: If the image is not there.
        """
        if self.kind == "docker":
            self._ask("image", "inspect", image)
            yield Container(self, image)
            return
        name = self._ask("from", "--pull-never", image)
        try:
            yield Container(self, name)
        finally:
            self._ask("rm", name)

    def _ask(self, *arguments: str) -> str:
        """What the engine answers to a command."""
        done = subprocess.run([*self.command, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(f"{self.kind} {arguments[0]} {arguments[-1]}: {done.stderr.strip()}")
        return done.stdout.strip()
