"""Downloads of exported models from buckets."""

from pathlib import Path

from seqline.errors import UserError
from seqline.inputs.storage import open_folder


def download_model(address: str, folder: Path) -> None:
    """Downloads an exported model.

    Args:
        address: Its folder, such as gs://bucket/model.
        folder: The folder to write.

    Raises:
        UserError: If there is no model, or it cannot be read.
    """
    try:
        files, root = open_folder(address)
        found = files.find(root)
        if f"{root}/saved_model.pb" not in found:
            raise FileNotFoundError
        for file in found:
            path = folder / str(file).removeprefix(root).lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            files.get_file(file, str(path))
    except FileNotFoundError:
        raise UserError(f"{address} contains no SavedModel: saved_model.pb is missing") from None
    except Exception as error:  # every file system has its own errors
        raise UserError(f"the model cannot be downloaded from {address}: {error or type(error).__name__}") from error
