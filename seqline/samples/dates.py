"""A parallel corpus of real translations, made from the Unicode CLDR data in Babel.

CLDR defines how each locale writes a date, a price or a list of countries, so two renderings of one fact are
translations of each other. Nothing is downloaded.
"""

import difflib
import json
from pathlib import Path
from random import Random

from babel import Locale, UnknownLocaleError, localedata

from seqline.atomic import atomic_write
from seqline.errors import UserError
from seqline.samples.cldr import Facts, shared_names

# Weight of each kind. Names get enough pairs to be learned; small sets such as times get no more than they have.
_KINDS = {
    "date": 14, "date_time": 10, "date_interval": 8, "time": 2, "time_interval": 3, "relative": 4,
    "number": 4, "compact": 3, "percent": 2, "price": 5, "amount": 7, "measure": 9, "duration": 6,
    "territories": 14, "languages": 8, "regional_languages": 5, "calendar_names": 2,
}  # fmt: skip
_SPACES = str.maketrans({"\u00a0": " ", "\u2009": " ", "\u202f": " "})


def write_sample(
    output: Path,
    source_locale: str = "en",
    target_locale: str = "de",
    pairs: int = 25_000,
    seed: int = 1,
) -> Path:
    """Writes a deterministic parallel corpus of short, natural phrases in two languages.

    It holds dates in the locales' long and short forms, times, dates with times, date and time intervals,
    "in 3 days" and "5 hours ago", numbers, compact numbers ("1.2 million"), percentages, prices with symbols
    and in words, measurements, durations, and lists of territories, languages, regional languages, weekdays
    and months. Names recur in many pairs, numbers vary; each source text occurs once. Non-breaking and thin
    spaces are written as plain ones. The same arguments give the same bytes (with the same CLDR version, so
    the same Babel), and a larger `pairs` only appends. CLDR data: Unicode License v3.

    Args:
        output: The file to write, whole or not at all: `.tsv` (source TAB target) or `.jsonl` (objects
            with "source" and "target").
        source_locale: A CLDR locale such as en, de-CH or zh_Hant.
        target_locale: Another one.
        pairs: Number of pairs to write; every source text is unique.
        seed: Seed of the random selection of pairs.

    Returns:
        The file written.

    Raises:
        UserError: If a locale is unknown, both are equal, or the suffix or the number of pairs is wrong.
    """
    output = Path(output)
    if output.suffix not in (".tsv", ".jsonl"):
        raise UserError(f"{output}: the suffix of a sample must be .tsv or .jsonl")
    drawn = sample_pairs(source_locale, target_locale, pairs, seed)
    if output.suffix == ".tsv":
        lines = [f"{source}\t{target}\n" for source, target in drawn]
    else:
        records = ({"source": source, "target": target} for source, target in drawn)
        lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
    atomic_write(output, "".join(lines))
    return output


def sample_pairs(
    source_locale: str = "en", target_locale: str = "de", pairs: int = 25_000, seed: int = 1
) -> list[tuple[str, str]]:
    """Draws the pairs that `write_sample` writes; the arguments are the same.

    Returns:
        (source, target) tuples with distinct sources.

    Raises:
        UserError: As `write_sample`.
    """
    source, target = find_locale(source_locale), find_locale(target_locale)
    if source == target:
        raise UserError(f"source and target are both {source_locale!r}; select two different locales")
    if pairs < 1:
        raise UserError(f"pairs must be at least 1, not {pairs}")
    facts = Facts(Random(seed), shared_names(source, target))
    draw, weights = [getattr(facts, kind) for kind in _KINDS], list(_KINDS.values())
    found: dict[str, str] = {}
    for _ in range(50 * pairs + 1000):
        if len(found) == pairs:
            return list(found.items())
        try:
            render = facts.random.choices(draw, weights)[0]()
            text, translation = (_plain(render(locale)) for locale in (source, target))
        except (LookupError, NotImplementedError):
            continue  # one of the two has no CLDR data for this kind
        if text and translation:
            found.setdefault(text, translation)
    raise UserError(
        f"{source_locale} and {target_locale} give {len(found)} distinct pairs, not {pairs}; reduce the number of pairs"
    )


def _plain(text: str) -> str:
    return " ".join(text.translate(_SPACES).split())


def find_locale(name: str) -> Locale:
    """Returns the CLDR locale of a name.

    Args:
        name: An identifier with "-" or "_", such as en, pt-BR or sr_Latn.

    Raises:
        UserError: If CLDR has no such locale; the message names the nearest one.
    """
    try:
        return Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        pass
    known = {identifier.lower(): identifier for identifier in localedata.locale_identifiers()}
    known |= {english.lower(): code for code, english in Locale("en").languages.items() if code in known}
    near = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1, cutoff=0.4)
    nearest = known[near[0]].replace("_", "-") if near else "en"
    raise UserError(f"{name!r} is not a CLDR locale; the nearest is {nearest!r}")
