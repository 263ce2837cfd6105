"""Flags for the Beam runner, and the folder that all of its workers can reach."""

import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from seqline.errors import UserError
from seqline.inputs.storage import fsspec

STAGE_NOTHING = "--experiments=disable_logging_submission_environment"
"""Without it Beam stages a list of this process's packages (apache_beam/runners/portability/stager.py). A worker on
Dataflow writes what is staged to a folder of Dataflow, where the user of our images may not."""
ONE_PROCESS_BYTES = 64 << 20
"""Up to this size one process finishes before others have started."""


def check_flags(beam_options: str) -> None:
    """Checks that the user's flags can be split into words.

    Args:
        beam_options: The flags.

    Raises:
        UserError: A quotation is not closed.
    """
    try:
        shlex.split(beam_options)
    except ValueError as error:
        raise UserError(f"beam_options cannot be split into flags ({error}): {beam_options}") from None


def flags(beam_options: str, size: int) -> list[str]:
    """Returns the flags for Beam.

    Args:
        beam_options: The user's flags.
        size: Bytes of all input.
    """
    given = shlex.split(beam_options)
    # Beam's DirectRunner may download another runner; this one is built in.
    local = ["--runner=FnApiRunner"]
    if size > ONE_PROCESS_BYTES:
        local += ["--direct_running_mode=multi_processing", "--direct_num_workers=0"]
    runner = _value(given, "runner").lower()
    return [*([] if runner else local), *([STAGE_NOTHING] if runner == "dataflowrunner" else []), *given]


@contextmanager
def shared_folder(folder: Path, beam_options: str) -> Iterator[tuple[str, str]]:
    """Provides a folder for the corpus's files and one for intermediate files that every worker can reach.

    Workers on this machine write into `folder` itself. Other workers write below their --temp_location; at the end the
    corpus's files are downloaded to `folder`, and the temporary folder is deleted.

    Args:
        folder: The final folder of the files.
        beam_options: The user's flags.

    Yields:
        The two folders, local or URLs.

    Raises:
        UserError: DataflowRunner is requested without a --temp_location.
    """
    given = shlex.split(beam_options)
    temporary = _value(given, "temp_location")
    if "://" not in temporary:
        if _value(given, "runner").lower() == "dataflowrunner":
            raise UserError(
                "beam_options: DataflowRunner needs --temp_location=gs://..., a folder its workers can write"
            )
        work = folder / "work"
        work.mkdir()
        yield str(folder), str(work)
        shutil.rmtree(work)
        return
    shared = f"{temporary.rstrip('/')}/seqline-{uuid4().hex}"
    system, path = fsspec.core.url_to_fs(shared)
    try:
        yield f"{shared}/corpus", f"{shared}/work"
        if system.exists(f"{path}/corpus"):
            system.invalidate_cache()
            system.get(f"{path}/corpus/*", f"{folder}/")
    finally:
        if system.exists(path):
            system.rm(path, recursive=True)


def _value(given: list[str], name: str) -> str:
    """Returns the value of a flag, "--name=value" or "--name value"; empty without the flag."""
    value = ""
    for flag, following in zip(given, [*given[1:], ""], strict=False):
        if flag == f"--{name}":
            value = following
        elif flag.startswith(f"--{name}="):
            value = flag.partition("=")[2]
    return value
