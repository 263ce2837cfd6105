"""The cleaning rules of plugins."""

from typing import Any

import numpy as np
import pyarrow as pa

from seqline.components.tokenize.content import Mask
from seqline.components.tokenize.filters import Pairs
from seqline.errors import UserError
from seqline.plugins.contracts import RulePlugin, accepted


def rejected(plugin: RulePlugin, pairs: Pairs, threshold: float, among: Mask) -> Mask:
    """Returns a mask of the pairs that a plugin's rule rejects.

    Args:
        plugin: The rule.
        pairs: Cleaned pairs.
        threshold: Its threshold; 1 for a rule without one.
        among: The pairs that it is asked about.

    Raises:
        UserError: If the function fails, or does not return true or false for each pair.
    """
    rows = np.flatnonzero(among)
    mask = np.zeros(len(pairs), bool)
    if not len(rows):
        return mask
    sources, targets = (side.take(pa.array(rows)).to_pylist() for side in pairs.sides)
    given: dict[str, Any] = {
        "sources": sources,
        "targets": targets,
        "threshold": threshold,
        "source_language": pairs.languages[0],
        "target_language": pairs.languages[1],
    }
    try:
        found = np.asarray(plugin.implementation(**accepted(plugin.implementation, given)))
    except (Exception, SystemExit) as error:
        raise UserError(f"the rule {plugin.name!r} fails: {type(error).__name__}: {error}") from error
    if found.shape != (len(rows),) or found.dtype != bool:
        raise UserError(
            f"the rule {plugin.name!r} must return True or False for each of {len(rows)} rows, not an array of "
            f"{found.dtype} of shape {found.shape}"
        )
    mask[rows] = found
    return mask
