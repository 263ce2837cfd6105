"""Decoding with an exported model, as the benchmarks of training do."""

from collections.abc import Sequence
from pathlib import Path

from seqline.decoding.search_options import Search

BATCH = 64


class ExportedModel:
    """An exported model.

    Args:
        folder: Its folder.
    """

    def __init__(self, folder: Path) -> None:
        from seqline.saved_models import load_signatures

        self.signatures = load_signatures(folder)

    def outputs(self, sources: Sequence[str], search: Search = Search()) -> list[str]:  # noqa: B008 (frozen)
        """Decodes sources in batches of similar length.

        Args:
            sources: The sources.
            search: Parameters of the search.

        Returns:
            The best output of each, in the order of the sources.
        """
        import tensorflow as tf

        ordered = sorted(range(len(sources)), key=lambda index: len(sources[index]))
        found = [""] * len(sources)
        options = {name: tf.constant(value) for name, value in search._asdict().items() if name != "early_stop"}
        for first in range(0, len(ordered), BATCH):
            chosen = ordered[first : first + BATCH]
            batch = tf.constant([sources[index] for index in chosen])
            answers = self.signatures["parameters"](text=batch, **options)["text"].numpy()[:, 0]
            for index, answer in zip(chosen, answers, strict=True):
                found[index] = answer.decode()
        return found
