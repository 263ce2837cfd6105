"""The stages and images that settings may name."""

from seqline.compiling.compiler import stages
from seqline.configuration import Configuration
from seqline.configuration.accelerators import accelerated_images
from seqline.pipelines import PIPELINES


def known_stages(configuration: Configuration) -> list[str]:
    """Returns the stages of our own pipelines and of all that the configuration runs.

    Settings for a pipeline of another file are no mistake: files are shared, and merged.

    Args:
        configuration: The configuration, whose pipelines exist.
    """
    return list(dict.fromkeys(stage for stage, _ in _stages(configuration)))


def known_images(configuration: Configuration) -> set[str]:
    """Returns the names of these stages' images, and of those for accelerators.

    Args:
        configuration: The configuration, whose pipelines exist.
    """
    own = {image.partition("/")[2].partition(":")[0] for _, image in _stages(configuration)}
    return {"preflight", *accelerated_images(), *own}


def _stages(configuration: Configuration) -> list[tuple[str, str]]:
    names = [*PIPELINES, configuration.pipeline]
    names += [one.pipeline for one in configuration.schedules.values()]
    names += [one.pipeline for one in configuration.triggers.values()]
    return [one for name in dict.fromkeys(filter(None, names)) for one in stages(name).items()]
