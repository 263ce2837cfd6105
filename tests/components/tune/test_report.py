"""The page about a study."""

import html
import re
from pathlib import Path

from seqline.artifacts.tuning import Trial
from seqline.components.tune.report import write_report


def text_of(path: Path, *trials: Trial) -> str:
    write_report(path, trials, [])
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", path.read_text().partition("</style>")[2])).split())


def test_the_curves_name_their_axes(tmp_path: Path) -> None:
    first = Trial(0, "succeeded", {}, 2.0, epochs={1: 4.0, 2: 2.0})
    text = text_of(tmp_path / "page.html", first, Trial(1, "pruned", {}, None, epochs={1: 3.0, 2: 3.5}))
    assert "2 trials, validation loss 2.000" in text
    assert "Nats per token 3.500 2.000 trial 1: — trial 0: 2.0000 1 2 Epoch" in text


def test_trials_of_one_epoch_need_no_curves(tmp_path: Path) -> None:
    assert "Nats per token" not in text_of(tmp_path / "page.html", Trial(0, "succeeded", {}, 2.0, epochs={1: 2.0}))
