"""The requests of a window as arrays, and the value that each figure has for each request."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from seqline.artifacts.reference import TOKEN_BUCKETS, Reference
from seqline.components.monitor.figures import Figure
from seqline.errors import UserError
from seqline.languages import find_language
from seqline.metrics.divergence import Values, shares
from seqline.metrics.sequential import Floats
from seqline.metrics.surprise import surprise

if TYPE_CHECKING:
    import pyarrow as pa

LENGTH_BINS = 64
RARE = 0.01
"""A script that fewer of the training texts have is another one."""


@dataclass(frozen=True)
class Traffic:
    """Requests and feedback of a window, in random order.

    Attributes:
        requests: The requests, with the columns of `seqline.artifacts.request_log`.
        feedback: The feedback.
        reference: The training corpus of the live version; None if there is none.
    """

    requests: "pa.Table"
    feedback: "pa.Table"
    reference: Reference | None

    @classmethod
    def read(cls, requests: Path, feedback: Path, reference: Reference | None) -> "Traffic":
        """Reads what collect wrote.

        Args:
            requests: File of the requests.
            feedback: File of the feedback.
            reference: The training corpus.

        Raises:
            UserError: If a file is missing or truncated.
        """
        return cls(_table(requests), _table(feedback), reference)

    def of_slice(self, name: str) -> "Traffic":
        """The requests with a label, and the feedback on them.

        Args:
            name: The label; empty for all.
        """
        import pyarrow.compute as pc

        if not name:
            return self
        chosen = self.requests.filter(pc.fill_null(pc.equal(self.requests["slice"], name), fill_value=False))
        return replace(
            self, requests=chosen, feedback=self.feedback.filter(pc.is_in(self.feedback["id"], chosen["id"]))
        )

    def slices(self, least: int, most: int) -> list[str]:
        """The labels of the largest slices.

        Args:
            least: Requests of a slice.
            most: Number of slices.
        """
        counts = {one["values"]: one["counts"] for one in self.requests["slice"].drop_null().value_counts().to_pylist()}
        large = sorted((name for name, count in counts.items() if count >= least), key=lambda name: -counts[name])
        return sorted(large[:most])

    def distribution(self, figure: Figure) -> Values:
        """The values of each request, of a distance.

        Args:
            figure: The figure.
        """
        if figure.name == "token_distance":
            column = self.requests["token_buckets"].combine_chunks()
            counts = np.asarray(column.value_lengths()).astype(np.int64)
            ids = np.asarray(column.flatten()).astype(np.int64)
            return Values(ids, counts[counts > 0], TOKEN_BUCKETS)
        name = "source_tokens" if figure.name == "length_distance" else "output_tokens"
        lengths = self._numbers(name)
        return lengths_as_values(lengths[lengths >= 0])

    def values(self, figure: Figure) -> Floats:
        """The value of each request, of a mean or a percentile; those that have none are left out.

        Args:
            figure: The figure.
        """
        found: Floats = getattr(self, f"_{figure.name}")()
        return found

    def unusual(self) -> Floats:
        """The surprise of each text in bits per token; NaN without tokens or a training corpus."""
        found = np.full(len(self.requests), np.nan)
        if self.reference is None:
            return found
        column = self.requests["token_buckets"].combine_chunks()
        counts = np.asarray(column.value_lengths()).astype(np.int64)
        values = Values(np.asarray(column.flatten()).astype(np.int64), counts[counts > 0], TOKEN_BUCKETS)
        found[counts > 0] = surprise(values, np.array(self.reference.sources.tokens))
        return found

    def _unusual_texts(self) -> Floats:
        limit = self.reference.surprise if self.reference else None
        found = self.unusual()
        found = found[~np.isnan(found)]
        return np.zeros(0) if limit is None else (found > limit).astype(float)

    def _unknown_share(self) -> Floats:
        total, unknown = self._numbers("source_tokens"), self._numbers("unknown_tokens")
        some = total > 0
        return unknown[some] / total[some]

    def _other_script(self) -> Floats:
        known = {
            name for name, share in (self.reference.sources.scripts if self.reference else {}).items() if share >= RARE
        }
        if not known:
            return np.zeros(0)
        found = [script not in known for script in self.requests["script"].to_pylist() if script != "Common"]
        return np.array(found, float)

    def _other_language(self) -> Floats:
        if self.reference is None or not self.reference.sources.languages or not _own(self.reference):
            return np.zeros(0)
        own = _own(self.reference)
        return np.array([one != own for one in self.requests["language"].to_pylist() if one is not None], float)

    def _truncated(self) -> Floats:
        return self._flags("truncated")

    def _empty(self) -> Floats:
        return self._flags("empty")

    def _copied(self) -> Floats:
        return self._flags("copied")

    def _score(self) -> Floats:
        found = self.requests["score"].drop_null().to_numpy().astype(float)
        return np.exp(np.minimum(found[np.isfinite(found)], 0.0))

    def _latency_p95(self) -> Floats:
        found = self._numbers("latency_ms")
        return found[found > 0]

    def _rating(self) -> Floats:
        return np.clip(self.feedback["rating"].drop_null().to_numpy().astype(float), -1.0, 1.0)

    def _corrected(self) -> Floats:
        return np.array([one is not None for one in self.feedback["correction"].to_pylist()], float)

    def _numbers(self, name: str) -> Floats:
        return self.requests[name].to_numpy().astype(float)

    def _flags(self, name: str) -> Floats:
        return np.array(self.requests[name].to_pylist(), float)


def training_value(figure: Figure, reference: Reference | None) -> float | None:
    """The value that a mean has in training; None if it has none.

    Args:
        figure: The figure.
        reference: The training corpus.
    """
    if reference is None or "training" not in figure.against:
        return None
    if figure.name == "unusual_texts":
        return None if reference.surprise is None else reference.unusual
    if figure.name == "unknown_share":
        return reference.sources.unknown_share
    if figure.name == "other_script":
        others = [share for share in reference.sources.scripts.values() if share < RARE]
        return sum(others) if reference.sources.scripts else None
    own = _own(reference)
    return 1 - reference.sources.languages.get(own, 0.0) if reference.sources.languages and own else None


def training_shares(figure: Figure, reference: Reference | None) -> Floats | None:
    """The distribution that a distance compares with; None if there is none.

    Args:
        figure: The figure.
        reference: The training corpus.

    Raises:
        UserError: If the reference has another number of buckets.
    """
    if reference is None:
        return None
    if figure.name == "token_distance":
        tokens = reference.sources.tokens
        if len(tokens) != TOKEN_BUCKETS:
            raise UserError(
                f"the training figures have {len(tokens)} token buckets, and the requests {TOKEN_BUCKETS}: another "
                "version of Seqline made them; export the model again"
            )
        return shares(np.array(tokens))
    sources = reference.sources
    lengths = sources.source_lengths if figure.name == "length_distance" else sources.target_lengths
    if not lengths:
        return None
    bins = np.bincount(_bins(np.array(list(lengths))), list(lengths.values()), LENGTH_BINS)
    return shares(bins)


def lengths_as_values(lengths: Floats) -> Values:
    """Lengths as values of a distribution: bins that are wider for longer texts.

    Args:
        lengths: From 0 on.
    """
    return Values(_bins(lengths), np.ones(len(lengths), np.int64), LENGTH_BINS)


def _own(reference: Reference) -> str:
    """The language of the training sources, as it is identified; empty if they are in no one language."""
    code = reference.source_language.strip()
    return find_language(code).code if code else ""


def _bins(lengths: npt.NDArray[np.number]) -> npt.NDArray[np.int64]:
    bins: npt.NDArray[np.int64] = np.minimum(np.round(5 * np.log2(lengths + 1)), LENGTH_BINS - 1).astype(np.int64)
    return bins


def _table(path: Path) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        detail = str(error).partition("\n")[0]
        raise UserError(f"{path} is missing or truncated ({detail}); run collect again") from None
