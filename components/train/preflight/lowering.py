"""The training step as a program for the TPU compiler.

TensorFlow lowers the real step to XLA's HLO; the program depends on shapes, not on the values of variables. A slice of
several cores trains data-parallel: each core runs the program on its part of the batch and sums gradients with the
others.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import seqline
from seqline.components.train.buckets import Bucket
from seqline.components.train.options import Options
from seqline.components.train.preflight.random_bits import tpu_random_bits
from seqline.modeling.config import TransformerConfig

ROOT = Path(seqline.__file__).parents[1]


class LoweringError(Exception):
    """TensorFlow cannot lower the step for a TPU: the message names the op and the line that made it."""


@dataclass(frozen=True)
class Lowered:
    """A program for the compiler.

    Attributes:
        hlo: XLA's HloModuleProto, serialized.
        lines: By op name, the line of Seqline's code that made it.
    """

    hlo: bytes
    lines: dict[str, str]


class TrainingStep:
    """Builds a model once and lowers its training step for each shape of batch.

    Args:
        config: The model's configuration.
        options: Options of training; precision auto is bfloat16, as on a TPU.
        replicas: Cores that share a batch.
    """

    def __init__(self, config: TransformerConfig, options: Options, replicas: int = 1) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        from seqline.components.train.objective import make_training_model
        from seqline.components.train.precision import precision
        from seqline.components.train.preflight.replicas import Replicas

        self.config = config
        self.strategy = Replicas(replicas)
        with self.strategy.scope(), precision(options.precision):
            self.model = make_training_model(config, options, compiled=True)

    def lower(self, shape: Bucket) -> Lowered:
        """Lowers the step for one shape of batch.

        Args:
            shape: Shape of a replica's part; of a gpt both sides are the length of a row, which holds several pairs.

        Raises:
            LoweringError: If an op of the step cannot be lowered, such as one on strings.
        """
        import tensorflow as tf

        sides = (shape.source,) * 4 if self.config.architecture == "gpt" else (shape.source, shape.target, shape.target)
        signature = [tf.TensorSpec((shape.rows, side), tf.int32) for side in sides]

        def step(*batch: Any) -> Any:
            return self.strategy.run(self.model.train_step, args=((batch[:-1], batch[-1]),))

        return lower(step, signature)


def lower(function: Any, signature: list[Any]) -> Lowered:
    """Lowers a function to HLO.

    Args:
        function: A function of tensors.
        signature: The `tf.TensorSpec` of each.

    Raises:
        LoweringError: If it cannot be lowered.
    """
    import tensorflow as tf

    traced = tf.function(function, input_signature=signature, jit_compile=True, autograph=False)
    lines: dict[str, str] = {}
    try:
        with tpu_random_bits():
            graph = traced.get_concrete_function().graph
        lines = dict(_lines(graph))
        hlo = traced.experimental_get_compiler_ir(*signature)(stage="hlo_serialized")
    except (tf.errors.OpError, ValueError, TypeError, NotImplementedError) as error:
        raise LoweringError(_explain(str(error), lines)) from error
    return Lowered(hlo, lines)


def _lines(graph: Any) -> Iterator[tuple[str, str]]:
    """The op names of a graph and of the functions that it calls, with the lines of code that made them."""
    for operation in graph.get_operations():
        for frame in reversed(operation.traceback or []):
            path = Path(frame.filename)
            if _is_ours(path):
                yield operation.name, f"{path.relative_to(ROOT)}:{frame.lineno}"
                break
    for inner in graph._functions.values():
        if hasattr(inner, "graph"):
            yield from _lines(inner.graph)


def _is_ours(path: Path) -> bool:
    return path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in ("seqline", "tests")


def _explain(message: str, lines: dict[str, str]) -> str:
    """Reduces TensorFlow's error about an op that it cannot lower to the op, its layer and the line that made it."""
    unsupported = re.search(r"compile graph.*?on XLA_\w+: (\w+) \(.*?\{\{node ([^}]+)\}\}", message, re.DOTALL)
    if unsupported:
        line = lines.get(unsupported[2], "")
        made = f", made at {line}" if line else ""
        return f"op {unsupported[1]} of {unsupported[2]}{made}: there is no such op on a TPU"
    printed = [line.strip() for line in message.splitlines() if line.strip()]
    frames = [Path(match[1]) for match in re.finditer(r'[Ff]ile "([^"]+)", line \d+', message)]
    where = [f"{frame.relative_to(ROOT)}" for frame in frames if _is_ours(frame)]
    return f"{printed[0] if printed else 'unknown error'}" + (f" ({where[-1]})" if where else "")
