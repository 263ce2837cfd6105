"""Finds and describes input files, local or in a bucket (gs://, s3://, minio://), and BigQuery queries."""

from seqline.errors import UserError
from seqline.inputs.bigquery import fingerprint, is_query
from seqline.inputs.one_file import InputFile, describe_file, filesystem, reason
from seqline.paths import expanded
from seqline.schema.transport import is_utf8


def find_inputs(data: str, valid_data: str = "", test_data: str = "", feedback: str = "") -> list[tuple[str, str]]:
    """Lists a corpus's input files.

    Args:
        data: Files of all pairs, or of the training pairs, in the form that `find_files` accepts.
        valid_data: Validation files; empty for none.
        test_data: Test files; empty for none.
        feedback: Files of corrections; empty for none.

    Returns:
        (parameter, path) of each file.

    Raises:
        UserError: As for `find_files`.
    """
    inputs = [("data", path) for path in find_files(data, "data")]
    for parameter, given in (("valid_data", valid_data), ("test_data", test_data), ("feedback", feedback)):
        inputs += [(parameter, path) for path in (find_files(given, parameter) if given.strip(" ,") else ())]
    return inputs


def find_files(data: str, parameter: str = "data") -> list[str]:
    """Lists the files that a data parameter names.

    Args:
        data: A path, a pattern with * ? [], or several separated by commas, local or a URL such as gs://; or a query.
        parameter: The parameter's name, for error messages.

    Returns:
        Absolute paths or URLs without duplicates, sorted by base name, then path; or the query alone.

    Raises:
        UserError: `data` is empty, a path is missing, a folder or not UTF-8, or a pattern matches no file.
    """
    if is_query(data):
        return [data.strip()]
    patterns = [part.strip() for part in data.split(",") if part.strip()]
    if not patterns:
        raise UserError(f"{parameter} is empty: name a file, a pattern such as folder/*.tsv, or several with commas")
    found = {path for pattern in patterns for path in _expand(pattern, parameter)}
    if other := next((path for path in sorted(found) if not is_utf8(path)), ""):
        raise UserError(f"{parameter}: the name {other!r} is not UTF-8; rename the file or folder")
    return sorted(found, key=lambda path: (path.rpartition("/")[2], path))


def describe(path: str, parameter: str = "data") -> InputFile:
    """Reads a file's size and checksum; those of an object come from the bucket without a download.

    Args:
        path: A file or a query, as `find_files` returns it.
        parameter: The parameter that names it.

    Raises:
        UserError: The file or the query's result is empty or cannot be read.
    """
    if is_query(path):
        rows, checksum = fingerprint(path, parameter)
        if not rows:
            raise UserError(f"{parameter}: the query returns no rows: {path}")
        return InputFile(path, rows, checksum, parameter=parameter)
    return describe_file(path, parameter)


def is_folder(path: str) -> bool:
    """Whether a path, local or by fsspec (gs://), is a folder.

    Args:
        path: The path.
    """
    remote = "://" in path
    system = filesystem(path)
    try:
        return bool(system.isdir(path if remote else str(expanded(path).absolute())))
    except OSError:
        return False


def describe_folder(folder: str, parameter: str, endings: tuple[str, ...] = ("",)) -> list[tuple[str, InputFile]]:
    """Describes all files below a folder, those of a folder inside it included.

    Args:
        folder: A folder, local or by fsspec (gs://).
        parameter: The parameter that names it.
        endings: Only files whose names end so.

    Returns:
        Each file with its path relative to the folder.

    Raises:
        UserError: If it does not exist, has no file, or a file cannot be read.
    """
    remote = "://" in folder
    system = filesystem(folder)
    root = system._strip_protocol(folder if remote else str(expanded(folder).absolute())).rstrip("/")
    try:
        found = system.find(root)
    except Exception as error:  # every file system has its own errors
        raise UserError(f"{parameter}: {folder} cannot be listed: {reason(error)}") from error
    if not found or found == [root]:
        raise UserError(f"{parameter}: {folder} is not a folder with files; check the path")
    address = system.unstrip_protocol if remote else str
    return [
        (path[len(root) + 1 :], describe_file(address(path), parameter, empty=True))
        for path in found
        if path.endswith(endings)
    ]


def _expand(pattern: str, parameter: str) -> list[str]:
    remote = "://" in pattern
    pattern = pattern if remote else str(expanded(pattern).absolute())
    system = filesystem(pattern)
    try:
        if system.isdir(pattern):
            raise UserError(f"{parameter}: {pattern} is a folder; give a file or a pattern such as {pattern}/*.tsv")
        if system.isfile(pattern):
            return [pattern]
        if not any(character in pattern for character in "*?["):
            raise UserError(f"{parameter}: no such file: {pattern}; check the path")
        found = [path for path in system.glob(pattern) if system.isfile(path)]
    except UserError:
        raise
    except Exception as error:  # every file system has its own errors
        raise UserError(f"{parameter}: {pattern} cannot be listed: {reason(error)}") from error
    if not found:
        raise UserError(f"{parameter}: the pattern {pattern} matches no file; check the pattern")
    return [system.unstrip_protocol(path) if remote else path for path in found]
