"""Words of any script: where a script has no spaces between words, each character with its marks is one."""

import regex  # type: ignore[import-untyped]

from seqline.languages import UNSPACED

CHARACTER = rf"[{UNSPACED}]\p{{M}}*"
SEGMENT = regex.compile(rf"{CHARACTER}|(?:(?![{UNSPACED}])\S)+")
"""Everything but spaces belongs to a word."""
TOKEN = regex.compile(rf"{CHARACTER}|(?:(?![{UNSPACED}])[\p{{L}}\p{{M}}\p{{N}}])+")
"""Letters, marks and digits belong to words."""
