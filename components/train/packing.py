"""Batches for a decoder-only model: several examples in each row, packed with little padding."""

import numpy as np
import tensorflow as tf

from seqline.components.train.buckets import Bucket, rows_of
from seqline.components.train.epochs import EpochBatches
from seqline.components.train.lengths import Lengths
from seqline.components.train.pairs import Pairs, Tokens
from seqline.modeling.config import TransformerConfig
from seqline.modeling.gpt import prompt

IDS = tf.TensorSpec((None, None), tf.int32)

Planned = tuple[int, np.ndarray, np.ndarray]
"""A batch: its rows, and of each example in it the pair's row in the window and the row of the batch, ascending."""
Group = tuple[int, tuple[int, ...]]
"""Rows that hold examples of the same lengths: their number, and the lengths."""
MEAN_LENGTHS, TRIED_LENGTHS = 8, 24
"""The longest rows that are considered, in examples of the mean length; and how many lengths are tried."""


class Packs(EpochBatches[Planned]):
    """The batches of a set of pairs, all of one shape.

    An example is one sequence: the prompt (see `seqline.modeling.gpt.prompt`) and the target. The model predicts the
    target and a final `eos` only. The arrays of a batch are `((ids, segments, positions), expected)`, each int32
    `[rows, length]`.

    Args:
        pairs: The pairs.
        config: The model's configuration.
        batch_tokens: Positions in a batch, at most.
        multiple: The rows' length is rounded up to a multiple of it.
        replicas: Devices that share a batch; its rows are a multiple of them, and of eight where there is room.

    Raises:
        UserError: If a prompt has no tokens.
    """

    signature = ((IDS, IDS, IDS), IDS)

    def __init__(
        self, pairs: Pairs, config: TransformerConfig, batch_tokens: int, multiple: int = 8, replicas: int = 1
    ) -> None:
        self.pairs, self.config, self.replicas = pairs, config, replicas
        table = pairs.table
        if not table.source.min():
            prompt(config, [])
        self.around = len(prompt(config, [0])) - 1
        longest = table.longest_pair + self.around
        mean = (table.source_tokens + table.target_tokens) // table.pairs + self.around
        limit = min(MEAN_LENGTHS * mean, batch_tokens)
        if config.positions == "relative":
            limit = min(limit, config.max_length)  # distances are defined up to it; other positions begin at a segment
        counts = _histogram(table, self.around, longest)
        self.length = best_length(counts, limit, attention_share(config), multiple)
        self.rows = rows_of(batch_tokens // self.length, replicas)
        self.tokens = table.target_tokens + table.pairs
        self.window_counts = np.array([[self._count(one)] for one in pairs.tables()])

    @property
    def areas(self) -> list[int]:
        """See `EpochBatches`."""
        return [self.rows * self.length]

    def filled(self, lengths: np.ndarray, counts: np.ndarray | int = 1) -> int:
        """See `EpochBatches`."""
        return int(((lengths.sum(axis=1, dtype=np.int64) + self.around) * counts).sum())

    def area(self, plans: list[Planned]) -> int:
        """See `EpochBatches`."""
        return len(plans) * self.rows * self.length

    @property
    def buckets(self) -> list[Bucket]:  # type: ignore[override]
        """The one shape of all batches."""
        return [Bucket(self.rows, self.length, self.length)]

    def plan(self, lengths: np.ndarray, random: np.random.Generator) -> list[Planned]:
        """See `EpochBatches`."""
        sizes = lengths.sum(axis=1, dtype=np.int64) + self.around
        members, ends = pack(sizes, self.length, random)
        starts = np.append(0, ends[:-1])
        order = random.permutation(len(ends))
        plans = []
        for first in range(0, len(order), self.rows):
            chosen = order[first : first + self.rows]
            counts = ends[chosen] - starts[chosen]
            places = np.repeat(starts[chosen] - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
            plans.append((self.rows, members[places], np.repeat(np.arange(len(chosen)), counts)))
        return plans

    def part(self, plan: Planned, replica: int) -> tuple[Planned, np.ndarray]:
        """See `EpochBatches`."""
        rows, members, places = plan
        size = rows // self.replicas
        inside = np.s_[np.searchsorted(places, replica * size) : np.searchsorted(places, (replica + 1) * size)]
        return (size, members[inside], places[inside] - replica * size), members[inside]

    def fill(self, plan: Planned, tokens: Tokens) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
        """See `EpochBatches`."""
        rows, members, places = plan
        config, size = self.config, rows * self.length
        ids, segments, positions, expected = (
            np.full(size, filler, np.int32) for filler in (config.filler, 0, 0, config.padding)
        )
        left, left_lengths = tokens.of(members, 0)
        right, right_lengths = tokens.of(members, 1)
        sizes = left_lengths + right_lengths + self.around
        # Where each example begins: behind those before it in its row.
        begins = np.cumsum(sizes) - sizes
        first_of_row = np.searchsorted(places, places)
        starts = places * self.length + begins - begins[first_of_row]
        inside = _spans(starts, sizes)
        segments[inside] = np.repeat(np.arange(len(members)) - first_of_row + 1, sizes)
        positions[inside] = _spans(np.zeros_like(sizes), sizes)
        seqline = config.prompt_form == "seqline"
        ahead = 0 if seqline else self.around
        if ahead:
            ids[starts] = config.start
        ids[_spans(starts + ahead, left_lengths)] = left
        if seqline:
            ids[starts + left_lengths], ids[starts + left_lengths + 1] = config.eos_id, config.start
        targets = starts + left_lengths + self.around
        ids[_spans(targets, right_lengths)] = right
        expected[_spans(targets - 1, right_lengths)] = right
        expected[targets - 1 + right_lengths] = config.eos_id
        shaped = [field.reshape(rows, self.length) for field in (ids, segments, positions, expected)]
        return (shaped[0], shaped[1], shaped[2]), shaped[3]

    def _count(self, table: Lengths) -> int:
        counts = _histogram(table, self.around, self.length)
        return -(-sum(count for count, _ in groups(counts, self.length)) // self.rows)


def attention_share(config: TransformerConfig) -> float:
    """The operations that attention adds to those of a layer's weights, as their share, for each position of a row.

    Args:
        config: The model's configuration.
    """
    queries, keys = config.num_heads * config.head_size, config.kv_heads * config.head_size
    attention = 2 * config.hidden_dim * (queries + keys)
    feed_forward = config.hidden_dim * config.intermediate_dim * (3 if config.gated else 2)
    return 2 * queries / (attention + feed_forward)


def best_length(counts: np.ndarray, limit: int, share: float, multiple: int = 8) -> int:
    """Finds the length of rows with which packed examples take the fewest operations.

    Longer rows have less padding, but attention computes more pairs of positions.

    Args:
        counts: Examples by length; the last is the longest one's.
        limit: Largest length.
        share: See `attention_share`.
        multiple: The length is a multiple of it, unless the limit is in the way.
    """
    longest = len(counts) - 1

    def operations(length: int) -> float:
        rows = sum(count for count, _ in groups(np.pad(counts, (0, length - longest)), length))
        return rows * length * (1 + share * length)

    lengths = np.unique(np.linspace(longest, max(longest, limit), TRIED_LENGTHS).astype(int))
    tried = {min(-(-int(length) // multiple) * multiple, max(limit, longest)) for length in lengths}
    return min(sorted(tried), key=operations)


def pack(lengths: np.ndarray, capacity: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Packs items into rows by best fit: the longest first, each into the row where it leaves the least room.

    Args:
        lengths: Lengths of the items; none exceeds the capacity.
        capacity: Capacity of a row.
        random: Decides which items of a length come together.

    Returns:
        The items row by row, and where each row ends.
    """
    shuffled = random.permutation(len(lengths))
    by_length = shuffled[np.argsort(lengths[shuffled], kind="stable")]
    counts = np.bincount(lengths, minlength=capacity + 1)
    taken = np.cumsum(counts) - counts
    members, sizes = [], []
    for count, composition in groups(counts, capacity):
        columns = []
        for length in composition:
            columns.append(by_length[taken[length] : taken[length] + count])
            taken[length] += count
        members.append(np.stack(columns, axis=1).ravel())
        sizes.append(np.full(count, len(composition)))
    return np.concatenate(members), np.cumsum(np.concatenate(sizes))


def groups(counts: np.ndarray, capacity: int) -> list[Group]:
    """Finds the rows that best fit makes, by the lengths in them: there are few of these, whatever the number of items.

    Args:
        counts: Items by length.
        capacity: Capacity of a row.
    """
    # By the room that they have left: rows of the same lengths, and how many there are.
    with_room: list[list[Group]] = [[] for _ in range(capacity + 1)]
    for length in range(capacity, 0, -1):
        remaining = int(counts[length])
        room = length
        while remaining:
            room = next((one for one in range(room, capacity) if with_room[one]), capacity)
            rows, composition = with_room[room].pop() if room < capacity else (remaining, ())
            # An item leaves less room than there was: the next one of this length fits best into the same row.
            each = room // length
            used = min(rows, remaining // each)
            if used < rows and room < capacity:
                with_room[room].append((rows - used, composition))
            if used:
                with_room[room - each * length].append((used, (*composition, *[length] * each)))
                remaining -= used * each
            elif remaining:
                _split_last(with_room, room, (composition, length, remaining))
                remaining = 0
    return [group for found in with_room for group in found]


def _split_last(with_room: list[list[Group]], room: int, last: tuple[tuple[int, ...], int, int]) -> None:
    """Puts the last items of a length, too few to fill a row with, into one row of the room."""
    composition, length, items = last
    if with_room[room]:
        rows, _ = with_room[room].pop()
        if rows > 1:
            with_room[room].append((rows - 1, composition))
    with_room[room - items * length].append((1, (*composition, *[length] * items)))


def _histogram(table: Lengths, around: int, longest: int) -> np.ndarray:
    """Examples by length, up to the longest."""
    return np.bincount(table.source + table.target + around, table.counts, longest + 1).astype(np.int64)


def _spans(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The places of spans, concatenated."""
    return np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(int(lengths.sum()))
