"""`seqline check`: finds all problems before anything is sent."""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from seqline.checking import kubeflow, preflight
from seqline.checking.stages import known_images, known_stages
from seqline.compiling.sources import find_pipeline, known_pipelines
from seqline.configuration import Loaded
from seqline.configuration.cron_warnings import cron_warnings
from seqline.configuration.loaded import ConfigurationError
from seqline.configuration.parameters import read_parameters
from seqline.errors import UserError
from seqline.names import nearest
from seqline.pipelines import PIPELINES
from seqline.plugins.registry import check_installed
from seqline.problems import Problem
from seqline.targets import open_target
from seqline.targets.laptop import DATA

# The Kubeflow server rejects more characters of parameters in total; on Vertex this is a safe limit too.
PARAMETERS_LIMIT = 10_000
# No service documents a limit for a spec; this is far below any that was observed.
SPEC_LIMIT = 1_000_000
# A run's ID on Vertex is the pipeline's name and a time, 128 characters at most.
NAME_LIMIT = 112


def check(loaded: Loaded, targets: list[str] | None = None, online: bool = True, deep: bool = False) -> list[Problem]:
    """Checks a configuration against the pipelines, the targets and their services.

    Args:
        loaded: The configuration.
        targets: Names of targets; all configured ones by default.
        online: Whether to contact services.
        deep: Whether to run the TPU compiler if training runs on a TPU, which takes minutes.

    Returns:
        Every problem, in the order of the configuration.
    """
    configuration = loaded.configuration
    try:
        check_installed()
        known_pipelines()
    except UserError as error:
        return [Problem(str(error))]
    chosen = targets or configuration.targets.configured
    problems = list(_pipelines(loaded))
    if problems:
        return problems
    problems += _names(loaded)
    for target in chosen:
        try:
            opened = open_target(target, configuration)
            for schedule in ["", *(name for name, one in configuration.schedules.items() if one.target == target)]:
                pipeline = (configuration.schedules[schedule].pipeline if schedule else "") or configuration.pipeline
                problems += _run(loaded, opened, pipeline, schedule, online)
            for trigger, settings in configuration.triggers.items() if target == "vertex" else ():
                pipeline = settings.pipeline or configuration.pipeline
                problems += _run(loaded, opened, pipeline, "", online, trigger)
            problems += _triggers(loaded) if target == "vertex" else []
            problems += kubeflow.problems(loaded) if target == "kubeflow" else []
            problems += [*schedule_warnings(loaded, target), *_images(loaded, target)]
            problems += opened.check() if online else []
            problems += preflight.problems(loaded) if deep and target == "vertex" else []
        except UserError as error:  # noqa: PERF203
            problems += error.problems if isinstance(error, ConfigurationError) else [Problem(str(error), target)]
    if configuration.triggers and configuration.targets.vertex is None:
        message = "targets.vertex, where their runs are, is not configured"
        problems.append(Problem(message, loaded.where("triggers"), "triggers"))
    for name, schedule_settings in configuration.schedules.items():
        if getattr(configuration.targets, schedule_settings.target) is None:
            message = f"targets.{schedule_settings.target}, where it runs, is not configured"
            problems.append(Problem(message, loaded.where("schedules", name, "target"), f"schedules.{name}.target"))
    return list(dict.fromkeys(problems))


def schedule_warnings(loaded: Loaded, target: str) -> Iterator[Problem]:
    """Yields what may surprise about a target's schedules.

    Args:
        loaded: The configuration.
        target: The target's name.
    """
    for name, settings in loaded.configuration.schedules.items():
        for key, message in cron_warnings(settings) if settings.target == target else ():
            keys = ("schedules", name, key)
            yield Problem(message, loaded.where(*keys), ".".join(keys), warning=True)


def _triggers(loaded: Loaded) -> Iterator[Problem]:
    """Yields triggers that cannot be created."""
    vertex = loaded.configuration.targets.vertex
    for name in loaded.configuration.triggers if vertex and not vertex.repository else ():
        message = "a trigger runs an uploaded version; set targets.vertex.repository, an Artifact Registry repository"
        yield Problem(message, loaded.where("triggers", name), f"triggers.{name}")


def _pipelines(loaded: Loaded) -> Iterator[Problem]:
    """Yields names that are not pipelines."""
    configuration = loaded.configuration
    keys = [("pipeline",), *(("schedules", name, "pipeline") for name in configuration.schedules)]
    keys += [("triggers", name, "pipeline") for name in configuration.triggers]
    names = [configuration.pipeline, *(one.pipeline for one in configuration.schedules.values())]
    names += [one.pipeline for one in configuration.triggers.values()]
    for key, name in zip(keys, names, strict=True):
        try:
            if name and name not in PIPELINES:
                find_pipeline(name)
        except UserError as error:  # noqa: PERF203
            yield Problem(str(error), loaded.where(*key), ".".join(key))


def _names(loaded: Loaded) -> Iterator[Problem]:
    """Yields names that are not stages or images."""
    configuration = loaded.configuration
    known = known_stages(configuration)
    for stage in configuration.resources:
        if stage not in known:
            message = f"there is no such stage; {nearest(stage, known)}"
            yield Problem(message, loaded.where("resources", stage), f"resources.{stage}")
    images = known_images(configuration)
    for image in configuration.images.digests:
        if image not in images:
            message = f"there is no such image; {nearest(image, images)}"
            yield Problem(message, loaded.where("images", "digests", image), f"images.digests.{image}")


def _run(loaded: Loaded, target: Any, pipeline: str, schedule: str, online: bool, trigger: str = "") -> list[Problem]:
    """Returns the problems of a run of a pipeline on a target, or of a schedule or a trigger."""
    others = pipeline != loaded.configuration.pipeline
    with tempfile.TemporaryDirectory() as folder:
        spec = target.compile(pipeline, Path(folder) / "spec.yaml")
        size, known, text = spec.stat().st_size, read_parameters(spec), spec.read_text(encoding="utf-8")
    arguments = loaded.arguments(known, target.name, schedule, others, trigger)
    problems = list(_data(loaded, arguments)) if online and target.name == "laptop" else []
    problems += _unpinned(loaded, f"{text} {arguments.get('serving')}") if target.name != "laptop" else []
    problems += kubeflow.checkpoint_problems(loaded, arguments, pipeline) if target.name == "kubeflow" else []
    if size > SPEC_LIMIT:
        problems.append(Problem(f"the compiled spec has {size:,} bytes; keep it below {SPEC_LIMIT:,}", target.name))
    if len(known.pipeline) > NAME_LIMIT:
        problems.append(Problem(f"the pipeline's name, {known.pipeline}, is longer than {NAME_LIMIT} characters"))
    characters = sum(len(json.dumps(value)) for value in arguments.values())
    if target.name != "laptop" and characters > PARAMETERS_LIMIT:
        message = f"the values have {characters:,} characters in total; keep them below {PARAMETERS_LIMIT:,}"
        problems.append(Problem(message, loaded.where("parameters"), "parameters"))
    return problems


def _data(loaded: Loaded, arguments: Mapping[str, Any]) -> Iterator[Problem]:
    """Yields local files that do not exist yet."""
    from seqline.inputs.files import find_files

    for name in DATA:
        value = str(arguments.get(name) or "")
        if value and "://" not in value:
            try:
                find_files(value)
            except UserError as error:
                key = loaded.source(name, "laptop")
                yield Problem(str(error), loaded.where(*key), ".".join(key), warning=True)


def _unpinned(loaded: Loaded, text: str) -> Iterator[Problem]:
    """Yields the images of a spec and its values that have no digest, if others have one."""
    images = loaded.configuration.images
    used = re.findall(rf"\b{re.escape(images.repository)}/([a-z-]+):", text) if images.digests else []
    for name in sorted(set(used)):
        message = f"{name} has no digest, though other images have one; the cache does not notice if a tag moves"
        yield Problem(message, loaded.where("images", "digests"), "images.digests", warning=True)


def _images(loaded: Loaded, target: str) -> Iterator[Problem]:
    """Yields images that a cluster cannot pull, and tags that may move."""
    images = loaded.configuration.images
    if target not in ("kubeflow", "vertex"):
        return  # a plugin's target checks itself what it pulls
    if not images.registry:
        message = f"{target} pulls images from a registry; write its host in front of {images.repository}"
        yield Problem(message, loaded.where("images", "repository"), "images.repository")
    if not images.digests:
        message = "the images are not pinned, and the cache does not notice if a tag moves; set a digest for each image"
        yield Problem(message, loaded.where("images"), "images.digests", warning=True)
