"""What options that are auto become: pure functions of the corpus, the task and the length of the training.

They are starting points from the literature and from practice, fitted to one small corpus; docs/training.md has the
results on others. All tokens are target tokens with the ends of sentences. The size of the model is in `recommend`,
that of the vocabulary in the stage tokenize.
"""

import math
from typing import Any

from seqline.components.train.schedules import WARMUP_SHARE

FULL_UPDATE = 4096
"""Target tokens in an update from which on more of them do not raise the learning rate."""
FULL_PASSES = 40
"""Passes over the data from which on dropout is not reduced."""
COPIES_DROPOUT = 0.05
"""The least dropout with R-Drop, which compares two dropout masks."""
FULL_BATCH, SMALLEST_BATCH = 4096, 1024
"""Tokens of a batch on its longer side: of a long training, and of a short one."""
ENOUGH_BATCHES = 1000
"""Full batches of tokens from which on a training is long."""
SMALL_UPDATE = 1000
"""Target tokens in an update below which Adam averages squared gradients over more updates."""
LONGEST_WARMUP = 4000
"""Updates of the longest warm-up, as of the Transformer of Vaswani et al. (2017)."""
LONGEST_AVERAGE = 1000
"""Updates that the average of the weights covers, at most."""
PATIENCE = 5
"""Epochs without improvement before training stops, at least."""


def by_task(task: str) -> dict[str, Any]:
    """Returns the options that help a model with random weights to copy, for the tasks whose outputs copy.

    docs/training.md has the experiments. Answers also share a batch with answers of other kinds, which differ in
    length.

    Args:
        task: What the model is for.
    """
    copying: dict[str, Any] = {"pointer": True, "positions": "rotary"}
    return {"question_answering": {**copying, "bucket_by": "source"}, "summarization": copying}.get(task, {})


def batch_tokens(tokens: float) -> int:
    """Returns the tokens of a batch: fewer, so that there are more updates, where the training sees few tokens.

    With padding and batches that are not full, there are about twice as many updates as full batches of tokens.

    Args:
        tokens: Tokens of the whole training on the longer side, source or target; of a gpt, on both.
    """
    return round(_clipped(tokens / ENOUGH_BATCHES, SMALLEST_BATCH, FULL_BATCH))


def dropout(tokens: float, passes: float, least: float = 0.0) -> float:
    """Returns the dropout: from 0.3 for small corpora to 0.05 for large ones, less where they are seen few times.

    Srivastava et al. (2014): large data need little regularization. The ends are those of practice: 0.3 of
    Transformer-Tiny for Multi30k (0.4 million tokens; Wu et al. 2021, "Good for Misconceived Reasons"), 0.1 of Vaswani
    et al. (2017) for 100 million. A model that sees its data a few times cannot overfit them (Komatsuzaki 2019, "One
    Epoch Is All You Need").

    Args:
        tokens: Target tokens of the training pairs.
        passes: Passes over them.
        least: The least dropout.
    """
    full = _clipped(0.35 - 0.125 * math.log10(max(tokens, 1) / 1e6), 0.05, 0.3)
    return max(least, round(full * min(1.0, passes / FULL_PASSES), 3))


def label_smoothing(mean_target: float) -> float:
    """Returns the label smoothing: 0.1 for sentences, as Vaswani et al. (2017), and 0 for one token and the end.

    In a short answer nearly every token is certain given the source, and what smoothing takes from it is not learned
    elsewhere. The line between the two is a guess.

    Args:
        mean_target: Mean number of target tokens of a pair.
    """
    return round(0.1 * _clipped((mean_target - 2) / 10, 0.0, 1.0), 3)


def learning_rate(width: int, update_tokens: float) -> float:
    """Returns the peak learning rate.

    It falls with the width (Yang et al. 2022) and, below 4,096 target tokens in an update, with their square root
    (Malladi et al. 2022). Half the inverse of the width is 0.004 for preset tiny, the rate of the benchmarks.

    Args:
        width: Size of the model's hidden states.
        update_tokens: Target tokens in an update.
    """
    return float(f"{0.5 / width * min(1.0, update_tokens / FULL_UPDATE) ** 0.5:.3g}")


def beta_2(update_tokens: float) -> float:
    """Returns the decay of Adam's average of squared gradients.

    0.98 is that of Vaswani et al. (2017). Small updates have noisy gradients, whose average needs more of them: the
    token half-life of Marek et al. (2025), "Small Batch Size Training for Language Models", held constant would ask for
    even more.

    Args:
        update_tokens: Target tokens in an update.
    """
    return 0.98 if update_tokens >= SMALL_UPDATE else 0.995


def warmup_steps(updates: float, beta_2: float) -> int:
    """Returns the updates of the warm-up.

    Adam's average of squared gradients is settled after 2 / (1 - beta_2) updates (Ma and Yarats 2021, "On the Adequacy
    of Untuned Warmup for Adaptive Optimization"), and a share of the whole training is what practice uses beyond that.
    No schedule warms up for more than a tenth of the training, so neither does this.

    Args:
        updates: Updates of the whole training.
        beta_2: Decay of Adam's average of squared gradients.
    """
    settled = min(2 / (1 - beta_2), WARMUP_SHARE * updates)
    return round(min(LONGEST_WARMUP, max(0.08 * updates, settled)))


def ema_momentum(updates: float) -> float:
    """Returns the momentum of the average of the weights, which covers the last tenth of the updates, at most 1,000.

    Suffix averaging (Rakhlin et al. 2012). The trainer's average covers no more than the last tenth with any momentum.

    Args:
        updates: Updates of the whole training.
    """
    return round(1 - 1 / _clipped(updates / 10, 10.0, LONGEST_AVERAGE), 5)


def patience(passes: float) -> int:
    """Returns the epochs without improvement before training stops: a quarter of all, at least 5.

    The last epochs, at a falling learning rate, improve most, so a long training may wait longer. The share is a guess.

    Args:
        passes: Passes over the data.
    """
    return max(PATIENCE, math.ceil(passes / 4))


def _clipped(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
