"""Translation edit rate of one sentence: sacreBLEU's algorithm with bit-parallel edit distances.

Shifts are searched as in tercom (Snover et al. 2006), in sacreBLEU's order and with its limits. Its table of edit
distances, a Python loop over cells, is computed a row at a time in the bits of an integer (Hyyrö, "A bit-vector
algorithm for computing Levenshtein and Damerau edit distances", 2003), and a shifted sentence reuses the rows of the
unchanged prefix.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sacrebleu.metrics.lib_ter import translation_edit_rate

LONGEST_SHIFT, FURTHEST_SHIFT, MOST_CANDIDATES = 10, 50, 1000  # tercom's limits, as sacreBLEU has them
# sacreBLEU's beam is 25 columns around the diagonal. Within these bounds it changes nothing: it covers every cell of a
# short reference, or every path of so few edits.
SURE_WORDS, SURE_EDITS = 24, 11


def edits(output: list[str], reference: list[str]) -> int:
    """Computes the least number of insertions, deletions and replacements of words and shifts of blocks.

    Args:
        output: The output's words.
        reference: The reference's words.

    Returns:
        The same number as sacreBLEU.
    """
    if not reference:
        return len(output)
    table = _Table(reference)
    distance = table.distance(table.first, output)
    if distance == abs(len(output) - len(reference)):
        return distance
    if len(reference) > SURE_WORDS and distance > SURE_EDITS:
        return int(translation_edit_rate(output, reference)[0])
    # A lower bound for every order of the words: once it is reached, no shift can help.
    least = max(len(output), len(reference)) - table.shared(output)
    if distance == least:
        return distance
    shifts = checked = 0
    words, rows = output, table.extend([table.first], output)
    while rows[-1].distance > least:
        best: tuple[int, int, int, int, list[str]] | None = None
        for start, length, target in _shifts(words, reference, table.align(rows, words)):
            shifted = _shift(words, start, length, target)
            same = min(start, target)
            gain = rows[-1].distance - table.distance(rows[same], shifted[same:])
            checked += 1
            candidate = (gain, length, -start, -target, shifted)
            if best is None or candidate > best:
                best = candidate
            if checked >= MOST_CANDIDATES:
                break
        if best is None or best[0] <= 0 or checked >= MOST_CANDIDATES:
            break
        shifts, words = shifts + 1, best[-1]
        rows = table.extend([table.first], words)
    return shifts + rows[-1].distance


class _Row(NamedTuple):
    """A row of the table of edit distances, as differences: one bit per word of the reference.

    Attributes:
        up: Where the distance is one more than in the column before.
        down: Where it is one less.
        equal: Where it equals that of the column before in the row above.
        rose: Where it is one more than in the row above.
        distance: The row's last distance.
    """

    up: int
    down: int
    equal: int
    rose: int
    distance: int


class _Alignment(NamedTuple):
    """The alignment of the words of an output and its reference.

    Attributes:
        positions: Index of the output's word for each word of the reference, or of the one before if it has none.
        wrong_reference: 1 for each word of the reference without a match.
        wrong_output: 1 for each word of the output without a match.
    """

    positions: list[int]
    wrong_reference: list[int]
    wrong_output: list[int]


class _Table:
    """Edit distances to one reference."""

    def __init__(self, reference: Sequence[str]) -> None:
        self.reference = reference
        self.whole = (1 << len(reference)) - 1
        self.positions: dict[str, int] = {}
        for position, word in enumerate(reference):
            self.positions[word] = self.positions.get(word, 0) | 1 << position
        self.first = _Row(self.whole, 0, 0, 0, len(reference))

    def extend(self, rows: list[_Row], words: Sequence[str]) -> list[_Row]:
        """Returns the rows, and one more for each further word of the output."""
        rows = list(rows)
        whole, last = self.whole, 1 << len(self.reference) - 1
        up, down, distance = rows[-1].up, rows[-1].down, rows[-1].distance
        for word in words:
            matches = self.positions.get(word, 0)
            equal = (((matches & up) + up) ^ up | matches | down) & whole
            rose, fell = down | whole & ~(equal | up), equal & up
            distance += 1 if rose & last else -1 if fell & last else 0
            across = (rose << 1 | 1) & whole
            up, down = (fell << 1 | ~(equal | across)) & whole, across & equal
            rows.append(_Row(up, down, equal, rose, distance))
        return rows

    def shared(self, words: Sequence[str]) -> int:
        """Counts the words that output and reference share, at any position."""
        return sum(min(count, self.positions.get(word, 0).bit_count()) for word, count in Counter(words).items())

    def distance(self, row: _Row, words: Sequence[str]) -> int:
        """Returns the last distance of the last row of `extend`, without the rows."""
        whole, last, positions = self.whole, 1 << len(self.reference) - 1, self.positions
        up, down, distance = row.up, row.down, row.distance
        for word in words:
            matches = positions.get(word, 0)
            equal = (((matches & up) + up) ^ up | matches | down) & whole
            rose, fell = down | whole & ~(equal | up), equal & up
            distance += 1 if rose & last else -1 if fell & last else 0
            across = (rose << 1 | 1) & whole
            up, down = (fell << 1 | ~(equal | across)) & whole, across & equal
        return distance

    def align(self, rows: list[_Row], words: Sequence[str]) -> _Alignment:
        """Returns the cheapest alignment; of equal ones it prefers a match or a replacement, then a deletion."""
        positions, wrong_reference = [0] * len(self.reference), [1] * len(self.reference)
        wrong_output = [1] * len(words)
        row, column = len(words), len(self.reference)
        while row or column:
            bit = 1 << column - 1 if column else 0
            if row and column and rows[row].equal & bit and words[row - 1] == self.reference[column - 1]:
                wrong_reference[column - 1] = wrong_output[row - 1] = 0
            elif row and column and not rows[row].equal & bit:
                pass
            elif row and (not column or rows[row].rose & bit):
                row -= 1
                continue
            else:
                column -= 1
                positions[column] = row - 1
                continue
            row, column = row - 1, column - 1
            positions[column] = row
        return _Alignment(positions, wrong_reference, wrong_output)


def _shifts(words: Sequence[str], reference: Sequence[str], alignment: _Alignment) -> Iterator[tuple[int, int, int]]:
    """Yields blocks of the output to shift: start, length and target, in sacreBLEU's order."""
    for start, goal, length in _matches(words, reference):
        end = start + length
        if not any(alignment.wrong_output[start:end]) or not any(alignment.wrong_reference[goal : goal + length]):
            continue
        if start <= alignment.positions[goal] < end:
            continue  # already there
        previous = -1
        for position in range(goal - 1, goal + length):
            target = alignment.positions[position] + 1 if position >= 0 else 0
            if target != previous:
                previous = target
                yield start, length, target


def _matches(words: Sequence[str], reference: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """Yields common runs of words: start in the output, start in the reference, length."""
    goals: dict[str, list[int]] = {}
    for goal, word in enumerate(reference):
        goals.setdefault(word, []).append(goal)
    for start, word in enumerate(words):
        for goal in goals.get(word, ()):
            if abs(goal - start) > FURTHEST_SHIFT:
                continue
            longest = min(LONGEST_SHIFT, len(words) - start, len(reference) - goal)
            for length in range(1, longest + 1):
                if words[start + length - 1] != reference[goal + length - 1]:
                    break
                yield start, goal, length


def _shift(words: list[str], start: int, length: int, target: int) -> list[str]:
    end = start + length
    if target < start:
        return words[:target] + words[start:end] + words[target:start] + words[end:]
    if target > end:
        return words[:start] + words[end:target] + words[start:end] + words[target:]
    return words[:start] + words[end : length + target] + words[start:end] + words[length + target :]
