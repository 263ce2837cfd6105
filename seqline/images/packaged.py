"""What images are built of: the checkout in the current folder, or what Seqline was installed with."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import seqline

PACKAGE = Path(seqline.__file__).parent
# Links in a checkout, files in a wheel: the Dockerfile with the locked sets, and what it copies besides the code.
CONTEXT = PACKAGE / "images" / "context"
LINKS = ("components", "pipelines")


@contextmanager
def containers_of(given: Path | None) -> Iterator[Path]:
    """Yields the folder of the Dockerfile; its parent is the context of a build.

    Args:
        given: The user's; by default `containers` in the current folder, or else a copy of what is installed.
    """
    local = Path("containers")
    if given is not None or (local / "Dockerfile").is_file():
        yield given or local
        return
    with TemporaryDirectory(prefix="images.") as folder:
        context = Path(folder)
        shutil.copytree(CONTEXT, context, dirs_exist_ok=True)
        # Under its own name it would be the configuration of linters there.
        (context / "project.toml").rename(context / "pyproject.toml")
        for name in LINKS:
            shutil.copytree(PACKAGE / name, context / name, ignore=shutil.ignore_patterns("__pycache__"))
        others = shutil.ignore_patterns("__pycache__", CONTEXT.name, *LINKS)
        shutil.copytree(PACKAGE, context / "seqline", ignore=others)
        for name in LINKS:
            (context / "seqline" / name).symlink_to(f"../{name}")
        yield context / "containers"
