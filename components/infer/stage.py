"""The infer stage: batch inference over large files."""

import contextlib
import hashlib
import json
import logging
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seqline.accelerators import DRIVER, require_gpu
from seqline.artifacts.exported_model import ExportedModel
from seqline.artifacts.predictions import Counts, Predictions
from seqline.atomic import atomic_directory
from seqline.buckets import mounted
from seqline.components.infer.lines import parser_of
from seqline.components.infer.options import Options
from seqline.components.infer.shards import Shard, Work
from seqline.endpoints.kserve.live import live_model
from seqline.endpoints.local_endpoint import Endpoint
from seqline.endpoints.names import KSERVE
from seqline.errors import UserError
from seqline.inputs.downloads import download_model
from seqline.inputs.files import find_files
from seqline.inputs.fingerprint import describe_all, fingerprint_of, require_unchanged
from seqline.inputs.storage import local_copy
from seqline.progress import counting

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Served:
    """A model to use.

    Attributes:
        model: The model, in a folder of this machine.
        address: Its address in a bucket, which other machines can read; empty for none.
    """

    model: ExportedModel
    address: str = ""


def infer(
    data: str,
    model: str,
    predictions: Path,
    fingerprint: str = "",
    checkpoints: str = "",
    beam_options: str = "",
    options: Options = Options(),  # noqa: B008 (frozen)
) -> Counts:
    """Runs every line of large files through an exported model.

    `seqline.artifacts.predictions` describes the output. Malformed and empty lines get an error instead of a prediction
    and are counted. An interrupted run, started again with the same data, model, options and `checkpoints`, continues
    with the unfinished shards and writes the same bytes.

    Args:
        data: Input files (.txt, .tsv, .jsonl, optionally .gz, .zst or .bz2), local or in a bucket: a path, a pattern,
            or several with commas.
        model: An exported model's folder; or an endpoint, local or on KServe, for its live version.
        predictions: The folder to write.
        fingerprint: The data's fingerprint from the snapshot stage; computed here when empty.
        checkpoints: Folder of the finished shards until all are finished; next to the output by default.
        beam_options: Flags for Apache Beam, such as --runner=...; one process on this machine by default.
        options: Options of the stage.

    Returns:
        The counts of the lines.

    Raises:
        UserError: If files are missing or broken, too many lines are malformed, or the model cannot serve.
    """
    require_gpu()
    files = find_files(data)
    for path in files:
        parser_of(path, options.source_field)
    with served_model(model) as served:
        return _infer(files, served, data, predictions, fingerprint, checkpoints, beam_options, options)


def _infer(
    files: Sequence[str],
    served: Served,
    data: str,
    predictions: Path,
    fingerprint: str,
    checkpoints: str,
    beam_options: str,
    options: Options,
) -> Counts:
    model_fingerprint = served.model.read_description().fingerprint
    fingerprint = fingerprint or fingerprint_of(describe_all(data))
    identity = json.dumps([files, fingerprint, model_fingerprint, options.model_dump()], sort_keys=True)
    folder = checkpoints or str(predictions.parent / f".{predictions.name}.state")
    state = f"{folder.rstrip('/')}/batch-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
    # Remote workers have no bucket mounted at /gcs.
    model_path = str(served.model.path)
    if "--runner" in beam_options:
        model_path, state = served.address or _as_url(model_path), _as_url(state)
    work = Work(state)
    shards = work.plan(files, options.shard_lines)
    finished = work.finished()
    remaining = [shard for shard in shards if shard.number not in finished]
    log.info(
        "%d file(s), %d shards of %d lines, %d remaining", len(files), len(shards), options.shard_lines, len(remaining)
    )
    if remaining:
        _check_first(remaining[0], options)
        _run(remaining, len(shards), model_path, state, beam_options, options)
    work.raise_problem()
    require_unchanged(fingerprint, data)
    with atomic_directory(predictions, Predictions(predictions).counts.name) as output:
        written = Predictions(output)
        counts = work.gather(len(shards), written.lines)
        _check_malformed(counts, options)
        counts = replace(counts, model_fingerprint=model_fingerprint, data_fingerprint=fingerprint)
        counts.write(written.counts)
    work.delete()
    failed = f", {_listed(counts.failed)}" if counts.failed else ""
    log.info("%d lines: %d predicted%s", counts.lines, counts.predicted, failed)
    return counts


@contextlib.contextmanager
def served_model(model: str) -> Iterator[Served]:
    """Finds the model to use; that of an endpoint on KServe is downloaded for the time of the context.

    Args:
        model: An exported model's folder, a local endpoint's, or kserve://NAMESPACE/NAME.

    Yields:
        The model; an endpoint's live version.

    Raises:
        UserError: If the endpoint serves nothing.
    """
    if model.startswith(KSERVE):
        address = live_model(model)
        with tempfile.TemporaryDirectory(prefix="model.") as folder:
            log.info("downloading the model from %s", address)
            download_model(address, Path(folder))
            yield Served(ExportedModel(Path(folder)), address)
        return
    if "://" in (address := mounted(model)):
        with local_copy(address) as folder:
            yield Served(ExportedModel(folder), address)
        return
    path = Path(address)
    if not (path / "endpoint.json").is_file():
        yield Served(ExportedModel(path))
        return
    live = Endpoint(path).live()
    if live is None:
        raise UserError(f"no version is live at the endpoint {path}; deploy one, or name a model's folder")
    yield Served(ExportedModel(Endpoint(path).model(live.version)))


def _run(shards: Sequence[Shard], total: int, model: str, work: str, beam_options: str, options: Options) -> None:
    # Beam and TensorFlow take seconds to import: only after the input is checked.
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from seqline.batch_threads import batches_at_once, share_cores
    from seqline.components.infer.graph import build
    from seqline.components.infer.handler import load
    from seqline.components.infer.position import Position

    at_once = 1
    # Other runners start a process for each core. The memory of a GPU holds the batch of `batch_size`.
    if "--runner" not in beam_options and not DRIVER.exists():
        at_once = batches_at_once()
        share_cores()
    load(model)
    logging.getLogger("apache_beam").setLevel(logging.WARNING)
    # Beam's DirectRunner may download another runner; this one is built in. A worker on Dataflow writes what Beam
    # stages to a folder of Dataflow, where the user of our images may not: without the experiment, a list of this
    # process's packages (apache_beam/runners/portability/stager.py).
    flags = ["--runner=FnApiRunner", "--experiments=disable_logging_submission_environment", *shlex.split(beam_options)]
    position = Position(len(shards), total, sum(shard.size for shard in shards))
    with counting(position), beam.Pipeline(options=PipelineOptions(flags)) as pipeline:
        build(pipeline, shards, total, model, work, options, at_once)


def _check_first(shard: Shard, options: Options) -> None:
    """Rejects a wrong field name before hours are spent on it."""
    lines = shard.read(options.source_field)
    if all(line.error for line in lines) and options.max_malformed_share < 1:
        raise UserError(
            f"{shard.name}: no line of the shard from line {shard.first_line} on is valid: {lines[0].error}"
        )


def _check_malformed(counts: Counts, options: Options) -> None:
    if not counts.lines or counts.malformed / counts.lines <= options.max_malformed_share:
        return
    raise UserError(
        f"{counts.malformed} of {counts.lines} lines are malformed ({_listed(counts.failed)}), more than "
        f"max_malformed_share {options.max_malformed_share:g} allows; fix the data, or raise it"
    )


def _listed(failed: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(failed.items()))


def _as_url(path: str) -> str:
    return f"gs://{path.removeprefix('/gcs/')}" if path.startswith("/gcs/") else path
