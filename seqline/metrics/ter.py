"""Translation edit rate of one sentence: sacreBLEU's algorithm, with the edit distance in the bits of one number.

Shifts are searched as tercom does (Snover et al. 2006), in sacreBLEU's order and with its limits. Its table of edit
distances, a Python loop over cells, is replaced by a row at a time (Hyyrö, "A bit-vector algorithm for computing
Levenshtein and Damerau edit distances", 2003), and a shifted sentence starts from the rows that it shares.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sacrebleu.metrics.lib_ter import translation_edit_rate

LONGEST_SHIFT, FURTHEST_SHIFT, MOST_CANDIDATES = 10, 50, 1000  # tercom's limits, as sacreBLEU has them
# sacreBLEU looks at 25 columns around the diagonal. Within these bounds that is all that could matter: every cell
# of a short reference, or every path of as few edits.
SURE_WORDS, SURE_EDITS = 24, 11


def edits(output: list[str], reference: list[str]) -> int:
    """Least number of words to insert, delete, replace, and of blocks to shift.

    Args:
        output: The output's words.
        reference: The reference's words.

    Returns:
        The number that sacreBLEU finds.
    """
    if not reference:
        return len(output)
    table = _Table(reference)
    distance = table.distance(table.first, output)
    if distance == abs(len(output) - len(reference)):
        return distance
    if len(reference) > SURE_WORDS and distance > SURE_EDITS:
        return int(translation_edit_rate(output, reference)[0])
    # No order of the words is cheaper than this; where it is reached, no shift can gain anything.
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
    """A row of the table of edit distances, as differences: one bit a word of the reference.

    Attributes:
        up: Where the distance is one more than that of one word of the reference less.
        down: Where it is one less.
        kept: Where it equals that of one word less on either side.
        rose: Where it is one more than in the row above.
        distance: The row's last distance.
    """

    up: int
    down: int
    kept: int
    rose: int
    distance: int


class _Alignment(NamedTuple):
    """How the words of an output and its reference belong together.

    Attributes:
        places: The output's word for each of the reference; the one before where it has none.
        wrong_reference: 1 for each word of the reference that is no match.
        wrong_output: 1 for each word of the output that is no match.
    """

    places: list[int]
    wrong_reference: list[int]
    wrong_output: list[int]


class _Table:
    """Edit distances to one reference."""

    def __init__(self, reference: Sequence[str]) -> None:
        self.reference = reference
        self.whole = (1 << len(reference)) - 1
        self.places: dict[str, int] = {}
        for place, word in enumerate(reference):
            self.places[word] = self.places.get(word, 0) | 1 << place
        self.first = _Row(self.whole, 0, 0, 0, len(reference))

    def extend(self, rows: list[_Row], words: Sequence[str]) -> list[_Row]:
        """The rows, and one more for each further word of the output."""
        rows = list(rows)
        whole, last = self.whole, 1 << len(self.reference) - 1
        up, down, distance = rows[-1].up, rows[-1].down, rows[-1].distance
        for word in words:
            matches = self.places.get(word, 0)
            kept = (((matches & up) + up) ^ up | matches | down) & whole
            rose, fell = down | whole & ~(kept | up), kept & up
            distance += 1 if rose & last else -1 if fell & last else 0
            across = (rose << 1 | 1) & whole
            up, down = (fell << 1 | ~(kept | across)) & whole, across & kept
            rows.append(_Row(up, down, kept, rose, distance))
        return rows

    def shared(self, words: Sequence[str]) -> int:
        """How many words the output and the reference share, wherever they are."""
        return sum(min(often, self.places.get(word, 0).bit_count()) for word, often in Counter(words).items())

    def distance(self, row: _Row, words: Sequence[str]) -> int:
        """The last distance of the last row that `extend` would give."""
        whole, last, places = self.whole, 1 << len(self.reference) - 1, self.places
        up, down, distance = row.up, row.down, row.distance
        for word in words:
            matches = places.get(word, 0)
            kept = (((matches & up) + up) ^ up | matches | down) & whole
            rose, fell = down | whole & ~(kept | up), kept & up
            distance += 1 if rose & last else -1 if fell & last else 0
            across = (rose << 1 | 1) & whole
            up, down = (fell << 1 | ~(kept | across)) & whole, across & kept
        return distance

    def align(self, rows: list[_Row], words: Sequence[str]) -> _Alignment:
        """The cheapest way through the table; of equals a match or a replacement, then a deletion, is preferred."""
        places, wrong_reference = [0] * len(self.reference), [1] * len(self.reference)
        wrong_output = [1] * len(words)
        row, column = len(words), len(self.reference)
        while row or column:
            bit = 1 << column - 1 if column else 0
            if row and column and rows[row].kept & bit and words[row - 1] == self.reference[column - 1]:
                wrong_reference[column - 1] = wrong_output[row - 1] = 0
            elif row and column and not rows[row].kept & bit:
                pass
            elif row and (not column or rows[row].rose & bit):
                row -= 1
                continue
            else:
                column -= 1
                places[column] = row - 1
                continue
            row, column = row - 1, column - 1
            places[column] = row
        return _Alignment(places, wrong_reference, wrong_output)


def _shifts(words: Sequence[str], reference: Sequence[str], found: _Alignment) -> Iterator[tuple[int, int, int]]:
    """Blocks of the output to try elsewhere: start, length and where to, in sacreBLEU's order."""
    for start, goal, length in _matches(words, reference):
        end = start + length
        if not any(found.wrong_output[start:end]) or not any(found.wrong_reference[goal : goal + length]):
            continue
        if start <= found.places[goal] < end:
            continue  # it is there already
        before = -1
        for place in range(goal - 1, goal + length):
            target = found.places[place] + 1 if place >= 0 else 0
            if target != before:
                before = target
                yield start, length, target


def _matches(words: Sequence[str], reference: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """Runs of words that both sides have: where in the output, where in the reference, how long."""
    goals: dict[str, list[int]] = {}
    for goal, word in enumerate(reference):
        goals.setdefault(word, []).append(goal)
    for start, word in enumerate(words):
        for goal in goals.get(word, ()):
            if abs(goal - start) > FURTHEST_SHIFT:
                continue
            most = min(LONGEST_SHIFT, len(words) - start, len(reference) - goal)
            for length in range(1, most + 1):
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
