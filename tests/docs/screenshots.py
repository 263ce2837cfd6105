"""Takes the pictures in docs/images from the reports of a run: `make screenshots RUN=.seqline/runs/...`.

    python -m tests.docs.screenshots RUN [TUNING_RUN] [MONITORING_RUN]

RUN is the folder of a training run on a laptop whose endpoint had a live version before, such as the second run of
`make demo`; TUNING_RUN that of a tuning run, MONITORING_RUN that of a run of monitoring. A page that the runs do not
have keeps its picture.
"""

import sys
from pathlib import Path

from tests.docs.browser import browser

IMAGES = Path(__file__).parents[2] / "docs" / "images"
DESKTOP, PHONE = (1100, 900), (390, 844)
# By name of the picture: the page in a run's folder, and the size.
PICTURES = {
    "run": ("report.html", DESKTOP),
    "run-phone": ("report.html", PHONE),
    "summary": ("reports/summarize.html", DESKTOP),
    "gate": ("reports/bless.html", (1100, 1500)),
    "evaluation": ("reports/evaluate.html", DESKTOP),
    "training": ("reports/train.html", DESKTOP),
    "attention": ("reports/train.attention.html", DESKTOP),
    "corpus": ("reports/tokenize.html", DESKTOP),
    "tuning": ("reports/tune.html", DESKTOP),
    "monitoring": ("reports/monitor.html", DESKTOP),
}


def main(runs: list[str]) -> int:
    """Takes the pictures.

    Args:
        runs: Folders of runs; the last one that has a page counts.
    """
    if not runs:
        print(__doc__, file=sys.stderr)
        return 2
    IMAGES.mkdir(exist_ok=True)
    with browser() as window:
        for name, (page, size) in PICTURES.items():
            found = [Path(run) / page for run in runs if (Path(run) / page).is_file()]
            if found:
                (IMAGES / f"{name}.webp").write_bytes(window.picture(found[-1], *size))
                print(f"{name}.webp: {found[-1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
