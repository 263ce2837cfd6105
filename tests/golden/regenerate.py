"""Writes the digests of the compiled pipelines anew: `make golden`, after a change that is meant."""

from pathlib import Path

from tests.golden.digest import digest
from tests.golden.variants import VARIANTS

GOLDEN = Path(__file__).parent

if __name__ == "__main__":
    for name in VARIANTS:
        path = GOLDEN / f"{name}.yaml"
        path.write_text(digest(name), encoding="utf-8")
        print(path)
