"""Finding the largest batch that fits in few compilations."""

from collections.abc import Callable, Iterator

Measure = Callable[[int], float]


def largest_that_fits(
    measure: Measure, known: dict[int, float], fixed: float, limit: float, tries: int = 5
) -> tuple[int, int]:
    """Finds the most rows that fit.

    Memory grows about linearly with the rows once they exceed the core's own memory, so each guess is where the line
    through the two nearest known points meets the limit. Only compiled results count.

    Args:
        measure: Compiles for some rows and returns the memory used, also if that exceeds the limit.
        known: Memory by rows, at least one entry; measurements are added.
        fixed: Memory that does not depend on the rows.
        limit: Memory available.
        tries: Number of compilations, at most.

    Returns:
        The most rows known to fit (0 if none do), and the fewest known not to fit (0 if all do).
    """

    def fits() -> int:
        return max((rows for rows, used in known.items() if used <= limit), default=0)

    def refused() -> int:
        return min((rows for rows, used in known.items() if used > limit), default=0)

    for _ in range(tries):
        low, high = fits(), refused()
        if high and high - low <= max(1, low // 16):
            break
        guess = _guess(known, fixed, limit)
        guess = min(guess, 16 * low) if low and not high else guess
        if high:
            guess = min(max(guess, low + max(1, (high - low) // 8)), high - max(1, (high - low) // 8))
        else:
            guess = max(guess, 2 * low)
        guess = guess // 8 * 8 if guess >= 16 and guess // 8 * 8 > low else guess
        if guess in known or guess < 1:
            break
        known[guess] = measure(guess)
    return fits(), refused()


def _guess(known: dict[int, float], fixed: float, limit: float) -> int:
    """The rows where the line through the two points nearest to the limit meets it, less 1%."""
    points = sorted([(0, fixed), *known.items()], key=lambda point: abs(point[1] - limit))[:2]
    (rows, used), (other_rows, other_used) = points
    slope = (used - other_used) / (rows - other_rows) if rows != other_rows else 0.0
    if slope <= 0:
        return 16 * max(known)
    return int(rows + (0.99 * limit - used) / slope)


def spread(lengths: list[int], steps: list[int], count: int) -> Iterator[int]:
    """Chooses the buckets to compile: the longest, the one with the most steps, the shortest, then those between.

    Args:
        lengths: Lengths of the buckets.
        steps: Batches of each bucket.
        count: Number of buckets to choose.

    Yields:
        Indices, each once.
    """
    by_length = sorted(range(len(lengths)), key=lambda n: -lengths[n])
    preferred = [by_length[0], max(by_length, key=lambda n: steps[n]), by_length[-1]]
    preferred += [by_length[len(by_length) * part // 8] for part in (4, 2, 6, 1, 3, 5, 7)]
    yield from list(dict.fromkeys([*preferred, *by_length]))[:count]
