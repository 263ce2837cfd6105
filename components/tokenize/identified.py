"""Scripts and languages of the sources, with which those of live requests are compared."""

import itertools
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

TEXTS = 2000
"""Held-out texts that are looked at: identifying a language takes about a millisecond."""
FEWEST = 300
"""With fewer, their languages are not identified: the shares would say little."""


def identified(corpus: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Identifies the scripts and the languages of held-out sources, in the way that the server does for requests.

    Args:
        corpus: The corpus's folder, with the text of its validation and test pairs.

    Returns:
        Shares of the texts, by script and by language, as `Sources` has them.
    """
    from seqline.sampling.identification import COMMON, language_of_text, scripts_of

    texts: list[str] = []
    for split in ("valid", "test"):
        with (corpus / f"{split}.jsonl").open(encoding="utf-8") as lines:
            texts += [json.loads(line)["source"] for line in itertools.islice(lines, TEXTS // 2)]
    scripts = _shares(script for script in scripts_of(texts) if script != COMMON)
    languages = _shares(filter(None, map(language_of_text, texts))) if len(texts) >= FEWEST else {}
    return scripts, languages


def _shares(names: Iterable[str]) -> dict[str, float]:
    counts = Counter(names)
    return {name: round(count / counts.total(), 6) for name, count in sorted(counts.items())}
