"""The architectures of plugins: a built-in family's layers in another arrangement.

The checkpoint has the arranged configuration, so everything after training needs no plugin.
"""

from seqline.errors import UserError
from seqline.modeling.config import ARCHITECTURES, TransformerConfig
from seqline.plugins.registry import ARCHITECTURES as PLUGINS

OTHERS = ("vocabulary_size", "max_length", "architecture")
"""Fields that the corpus or the family decides."""


def arranged(config: TransformerConfig, architecture: str) -> TransformerConfig:
    """Lets a plugin change a configuration; with a built-in architecture it is unchanged.

    Args:
        config: The configuration as preset and options set it.
        architecture: The name of the architecture.

    Raises:
        UserError: If the plugin's function fails, or what it returns is no configuration.
    """
    if architecture in ARCHITECTURES:
        return config
    plugin, fields = PLUGINS.find(architecture), config.model_dump()
    place = f"the architecture {architecture!r} ({PLUGINS.source(architecture)})"
    try:
        changed = plugin.implementation(fields=dict(fields))
    except Exception as error:
        raise UserError(f"{place} fails: {type(error).__name__}: {error}") from error
    if not isinstance(changed, dict) or set(changed) - set(fields) or set(changed) & set(OTHERS):
        allowed = ", ".join(name for name in fields if name not in OTHERS)
        raise UserError(f"{place} must return the fields to change by name, some of {allowed}; not {changed!r}")
    try:
        return TransformerConfig(**{**fields, **changed})
    except UserError as error:
        raise UserError(f"{place} returns fields that do not fit: {error}") from None
