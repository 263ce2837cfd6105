"""The adopt stage: a SavedModel of any origin in, the artifact of an exported model out."""

import datetime
import logging
import os
import shutil
from pathlib import Path

from seqline.artifacts.exported_model import Description, ExportedModel
from seqline.atomic import atomic_directory
from seqline.components.adopt.loading import problems_of
from seqline.components.adopt.signature import Tensors, find_tensors, tensorflow_version, wrap
from seqline.errors import UserError
from seqline.inputs.fingerprint import folder_fingerprint
from seqline.inputs.storage import local_copy

log = logging.getLogger(__name__)


def adopt(
    address: str,
    output: Path,
    fingerprint: str = "",
    source_language: str = "en",
    target_language: str = "de",
) -> Description:
    """Takes a SavedModel into a release; what Seqline exported is copied with its own model.json.

    model/
      saved_model.pb, variables/, assets/   the SavedModel; with a signature of Seqline's names if it has others
      model.json                            fingerprint of its files, and languages

    Before the output appears, a fresh process must load it and answer texts.

    Args:
        address: The SavedModel's folder, local or in a bucket. Its signature `serving_default` takes one tensor of
            strings and returns one tensor of strings, or one called `text`; a `score` is optional.
        output: The model folder to write.
        fingerprint: The fingerprint of its files, as snapshot found them; computed if empty.
        source_language: Language code of its inputs.
        target_language: Language code of its outputs.

    Returns:
        The content of model.json.

    Raises:
        UserError: If the folder contains no SavedModel or has changed since snapshot, its signature is another one, or
            it does not load or answer in a fresh process.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    found = folder_fingerprint(address, "model")
    if fingerprint not in ("", found):
        raise UserError(f"model: the files of {address} were changed since snapshot; start the run again")
    with local_copy(address) as model, atomic_directory(output, ExportedModel(output).description_file.name) as folder:
        tensors, description = find_tensors(model), ExportedModel(model).description_file
        described = ExportedModel(model).read_description() if description.is_file() else None
        if described is None:
            described = Description(
                fingerprint=found,
                source_language=source_language,
                target_language=target_language,
                decoding=None,
                corpus_fingerprint="",
                created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                tensorflow=tensorflow_version(model),
            )
        elif not tensors.ours:
            raise UserError(f"{address} has a model.json, but not the signature of an exported model; export it again")
        _write(model, tensors, folder)
        if problems := problems_of(folder):
            raise UserError(f"model: {address} cannot be released: {'; '.join(problems)}")
        ExportedModel(folder).write_description(described)
    log.info("adopted %s with the fingerprint %s", address, described.fingerprint)
    return described


def _write(model: Path, tensors: Tensors, folder: Path) -> None:
    if tensors.ours:
        shutil.copytree(model, folder, dirs_exist_ok=True)
        return
    names = f"{tensors.text} to {tensors.output}{f' and {tensors.score}' if tensors.score else ', without a score'}"
    log.info("its signature is from %s: it gets one from text to text and score", names)
    wrap(model, tensors, folder)
