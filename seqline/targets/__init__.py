"""The systems that run a compiled pipeline; their interface is in `seqline.targets.target`."""

from importlib import import_module
from typing import TYPE_CHECKING

from seqline.errors import UserError
from seqline.plugins.registry import TARGETS as PLUGINS

if TYPE_CHECKING:
    from seqline.configuration import Configuration
    from seqline.targets.target import Target

TARGETS = {
    "laptop": ("seqline.targets.laptop", "Laptop"),
    "kubeflow": ("seqline.targets.kubeflow", "Kubeflow"),
    "vertex": ("seqline.targets.vertex", "Vertex"),
}


def open_target(name: str, configuration: "Configuration") -> "Target":
    """Opens a target without connecting; only its own module is imported.

    Args:
        name: A key of `TARGETS`, or the name of a plugin's target.
        configuration: The argument of its constructor.

    Raises:
        UserError: If there is no such target, the configuration does not describe it, or its libraries are missing.
    """
    if name not in TARGETS:
        plugin = PLUGINS.find(name, TARGETS)
        if configuration.targets.settings(name) is None:
            raise UserError(f"the configuration has no targets.{name}; write {name}: {{}} there, or its settings")
        from seqline.targets.plugin_target import PluginTarget

        made: Target = PluginTarget(name, lambda: plugin.implementation(configuration=configuration))  # type: ignore[assignment]
        return made
    module, kind = TARGETS[name]
    if configuration.targets.settings(name) is None:
        raise UserError(f"the configuration has no targets.{name}; `seqline init` shows its keys")
    try:
        target: Target = getattr(import_module(module), kind)(configuration)
    except ModuleNotFoundError as error:
        raise UserError(f"the target {name} is not installed here ({error}): pip install 'seqline[{name}]'") from None
    return target
