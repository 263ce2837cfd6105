"""The page about a training run."""

import html
import re
from pathlib import Path

from seqline.components.train.report import write_report


def an_epoch(number: int) -> dict[str, float]:
    names = ("loss", "valid_loss", "valid_perplexity", "valid_accuracy", "valid_bleu", "valid_rougeL", "lr", "seconds")
    shared = dict.fromkeys((*names, "padding_share", "flop_utilization", "tokens_per_second"), 1.0 / number)
    return {**shared, "epoch": number, "target_tokens": 1234}


def test_charts_name_their_axes_and_the_page_its_units_and_directions(tmp_path: Path) -> None:
    write_report(tmp_path / "page.html", [an_epoch(1), an_epoch(2)], [("Pairs", "9")], 2)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    text = " ".join(html.unescape(re.sub("<[^>]*>", " ", page.partition("</style>")[2])).split())
    assert "Loss training, smoothed validation Nats per token 1.000 0.500 " in text
    assert page.count('<div class="x-title">Epoch</div>') == 6
    for shown in ("Validation loss ↓ 0.500 nats per token", "Tokens processed 2,468 target tokens", "Speed ↑"):
        assert shown in text
