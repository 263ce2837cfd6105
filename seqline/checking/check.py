"""`seqline check`: everything that can be known to be wrong before anything is sent."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from seqline.checking import preflight
from seqline.compiling.compiler import stages
from seqline.configuration import Loaded
from seqline.configuration.parameters import read_parameters
from seqline.configuration.loaded import ConfigurationError
from seqline.errors import UserError
from seqline.names import nearest
from seqline.pipelines import PIPELINES
from seqline.problems import Problem
from seqline.targets import TARGETS, open_target
from seqline.targets.laptop import DATA

# The Kubeflow server refuses more characters of parameters in all; on Vertex it is a safe limit too.
PARAMETERS_LIMIT = 10_000
# No figure is published for a spec; far below what any service was seen to refuse.
SPEC_LIMIT = 1_000_000
# A run's id on Vertex is the pipeline's name and a time, 128 characters at most.
NAME_LIMIT = 112


def check(loaded: Loaded, targets: list[str] | None = None, ask: bool = True, deep: bool = False) -> list[Problem]:
    """Holds a configuration against the pipelines, the targets' rules and, where there is one, the service.

    Args:
        loaded: The configuration.
        targets: Which targets; all that it describes by default.
        ask: Whether services are asked what only they know.
        deep: Whether the TPU compiler is asked where training runs on a TPU, which takes minutes.

    Returns:
        Every problem, in the order of the configuration; empty if it is fine.
    """
    configuration = loaded.configuration
    chosen = targets or [name for name in TARGETS if getattr(configuration.targets, name) is not None]
    problems = list(_pipelines(loaded))
    if problems:
        return problems
    problems += _names(loaded)
    for target in chosen:
        try:
            place = open_target(target, configuration)
            for schedule in ["", *(name for name, one in configuration.schedules.items() if one.target == target)]:
                pipeline = (configuration.schedules[schedule].pipeline if schedule else "") or configuration.pipeline
                problems += _run(loaded, place, pipeline, schedule, ask)
            problems += _images(loaded, target)
            problems += place.check() if ask else []
            problems += preflight.problems(loaded) if deep and target == "vertex" else []
        except UserError as error:  # noqa: PERF203
            problems += error.problems if isinstance(error, ConfigurationError) else [Problem(str(error), target)]
    for name, schedule_settings in configuration.schedules.items():
        if getattr(configuration.targets, schedule_settings.target) is None:
            said = f"it runs on {schedule_settings.target}, and there is no targets.{schedule_settings.target}"
            problems.append(Problem(said, loaded.where("schedules", name, "target"), f"schedules.{name}.target"))
    return list(dict.fromkeys(problems))


def _pipelines(loaded: Loaded) -> Iterator[Problem]:
    """Pipelines that there are not."""
    configuration = loaded.configuration
    keys = [("pipeline",), *(("schedules", name, "pipeline") for name in configuration.schedules)]
    asked = [configuration.pipeline, *(one.pipeline for one in configuration.schedules.values())]
    for key, name in zip(keys, asked, strict=True):
        if name and name not in PIPELINES:
            said = f"no pipeline is called {name!r}; {nearest(name, PIPELINES)}"
            yield Problem(said, loaded.where(*key), ".".join(key))


def _names(loaded: Loaded) -> Iterator[Problem]:
    """Stages and images that there are not."""
    configuration = loaded.configuration
    asked = [configuration.pipeline, *(one.pipeline for one in configuration.schedules.values())]
    known = {stage: image for name in dict.fromkeys(name for name in asked if name) for stage, image in _stages(name)}
    for stage in configuration.resources:
        if stage not in known:
            said = f"there is no such stage; {nearest(stage, known)}"
            yield Problem(said, loaded.where("resources", stage), f"resources.{stage}")
    images = {"preflight", "train-tpu", *known.values()}
    for image in configuration.images.digests:
        if image not in images:
            said = f"no stage has such an image; {nearest(image, images)}"
            yield Problem(said, loaded.where("images", "digests", image), f"images.digests.{image}")


def _stages(pipeline: str) -> list[tuple[str, str]]:
    return [(stage, image.partition("/")[2].partition(":")[0]) for stage, image in stages(pipeline).items()]


def _run(loaded: Loaded, place: Any, pipeline: str, schedule: str, ask: bool) -> list[Problem]:
    """What is wrong with a run of a pipeline on a target, or of a schedule."""
    others = pipeline != loaded.configuration.pipeline
    with tempfile.TemporaryDirectory() as folder:
        spec = place.compile(pipeline, Path(folder) / "spec.yaml")
        size, known = spec.stat().st_size, read_parameters(spec)
    arguments = loaded.arguments(known, place.name, schedule, others)
    problems: list[Problem] = []
    if ask and place.name == "laptop":
        problems += _data(loaded, arguments)
    if size > SPEC_LIMIT:
        problems.append(Problem(f"the compiled spec has {size:,} bytes; keep it below {SPEC_LIMIT:,}", place.name))
    if len(known.pipeline) > NAME_LIMIT:
        problems.append(Problem(f"the pipeline's name, {known.pipeline}, is longer than {NAME_LIMIT} characters"))
    characters = sum(len(json.dumps(value)) for value in arguments.values())
    if place.name != "laptop" and characters > PARAMETERS_LIMIT:
        said = f"the values have {characters:,} characters in all; keep them below {PARAMETERS_LIMIT:,}"
        problems.append(Problem(said, loaded.where("parameters"), "parameters"))
    return problems


def _data(loaded: Loaded, arguments: Mapping[str, Any]) -> Iterator[Problem]:
    """Files of this machine that are not there yet."""
    from seqline.inputs.files import find_files

    for name in DATA:
        value = str(arguments.get(name) or "")
        if value and "://" not in value:
            try:
                find_files(value)
            except UserError as error:
                key = loaded.source(name, "laptop")
                yield Problem(str(error), loaded.where(*key), ".".join(key), warning=True)


def _images(loaded: Loaded, target: str) -> Iterator[Problem]:
    """What a cluster cannot pull, or may pull anew under an old name."""
    images = loaded.configuration.images
    if target == "laptop":
        return
    if not images.registry:
        said = f"{images.repository} names no registry, and {target} pulls images; write its address before the name"
        yield Problem(said, loaded.where("images", "repository"), "images.repository")
    if not images.digests:
        said = "the images are not pinned: a tag that moves leaves stale results in the cache; give digests by image"
        yield Problem(said, loaded.where("images"), "images.digests", warning=True)
