"""Matrix products of few rows: rows of a whole number of memory pages, compared with padded ones.

    python -m benchmarks.products

Decoding multiplies a row per hypothesis by every weight. Every product has a matrix of its own, so that none stays in
the cache, and runs in the executor that exported models use. Metrics, for each size: `padded_ratio_<rows>x<inputs>x
<columns>`, the time with padded columns (see `seqline.decoding.layers.unaligned`) over that without.
"""

import os
import sys
from typing import Any

from benchmarks.results import finish, parser, show
from benchmarks.timing import fastest

SIZES = ((256, 1024), (512, 2048), (576, 3072))
ROWS = (1, 4, 8, 64, 256)
MEGABYTES = 64
"""Of the matrices of a size together, more than a processor's cache holds."""


def main() -> int:
    """Runs the benchmark."""
    flags = parser("products", (__doc__ or "").partition("\n")[0])
    args = flags.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    from seqline.decoding.layers import unaligned

    passes = 3 if args.quick else 20
    rows, metrics = [], {}
    for inputs, columns in SIZES:
        for count in ROWS[:2] if args.quick else ROWS:
            times = [microseconds(count, inputs, width, passes) for width in (columns, unaligned(columns))]
            metrics[f"padded_ratio_{count}x{inputs}x{columns}"] = times[1] / times[0]
            rows.append([f"{count} x {inputs} by {inputs} x {columns}", *times, times[1] / times[0]])
    show("Microseconds", ["product", "as it is", "padded", "ratio"], rows)
    finish(metrics, args.json)
    return 0


def microseconds(rows: int, inputs: int, columns: int, passes: int) -> float:
    """The time of a product, the lowest of some passes over all matrices.

    Args:
        rows: Rows of the input.
        inputs: Columns of the input.
        columns: Columns of the matrix.
        passes: Number of passes.
    """
    import tensorflow as tf

    from seqline.components.export.executor import in_one_thread

    matrices = [tf.random.normal((inputs, columns)) for _ in range(MEGABYTES * 1_000_000 // (4 * inputs * columns))]

    def multiply(states: Any, **matrices: Any) -> Any:
        total = states
        for matrix in matrices.values():
            # Each product needs the one before.
            total = states + tf.matmul(total, matrix)[:, :1]
        return total

    named = {f"matrix_{number}": matrix for number, matrix in enumerate(matrices)}
    states, multiply = tf.random.normal((rows, inputs)), in_one_thread(multiply)
    return fastest(lambda: multiply(states=states, **named).numpy(), passes) / len(matrices) * 1e6


if __name__ == "__main__":
    sys.exit(main())
