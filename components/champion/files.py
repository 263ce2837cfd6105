"""The files of a registered version, in a folder or in a bucket."""

from seqline.artifacts.exported_model import Description
from seqline.endpoints.back_end import is_of
from seqline.errors import UserError
from seqline.inputs.storage import digest_of, list_files, open_folder


def read_files(address: str, fingerprint: str) -> str:
    """Checks that a version's files are there, and that they are the registered model's.

    Args:
        address: The folder, or one in a bucket, such as gs://.
        fingerprint: As registered.

    Returns:
        A digest of their names, sizes and times.

    Raises:
        UserError: If they are gone, cannot be read or are another model's.
    """
    if not address:
        raise UserError("its address is missing")
    try:
        files, root = open_folder(address)
        found = list_files(files, root)
        content = files.cat_file(f"{root}/model.json") if f"{root}/model.json" in found else None
    except Exception as error:  # every file system has its own errors
        raise UserError(f"its files cannot be read: {address}: {error or type(error).__name__}") from error
    if not found:
        raise UserError(f"its files are missing: {address}")
    if content is None or f"{root}/saved_model.pb" not in found:
        raise UserError(f"its files are incomplete: {address} contains no exported model")
    described = Description.from_json(content.decode("utf-8", errors="replace"), f"{address}/model.json")
    if not is_of(fingerprint, described.fingerprint):
        raise UserError(f"its files are another model's: {address} has the fingerprint {described.fingerprint[:12]}")
    return digest_of(found, root)
