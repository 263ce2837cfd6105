"""From the tensors of a checkpoint to the weights of the model."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from seqline.modeling.config import TransformerConfig


@dataclass(frozen=True)
class Part:
    """A tensor of the checkpoint.

    Attributes:
        name: Its name.
        shape: Its shape in the file.
        transposed: Whether the model has its transpose: PyTorch's matrices are `[outputs, inputs]`.
    """

    name: str
    shape: tuple[int, ...]
    transposed: bool = False


@dataclass
class Recipes:
    """What each weight of the model is made of.

    Attributes:
        parts: By weight, such as `decoder/0/feed_forward/expand/kernel`: the tensors, joined along the last axis.
        copies: Tensors that a checkpoint may also have, each with the one that it must repeat; empty for one that is
            computed here, or not used.
    """

    parts: dict[str, list[Part]] = field(default_factory=dict)
    copies: dict[str, str] = field(default_factory=dict)

    def vector(self, weight: str, name: str, size: int) -> None:
        """Adds a weight that is one vector.

        Args:
            weight: The model's weight.
            name: The checkpoint's tensor.
            size: Its size.
        """
        self.parts[weight] = [Part(name, (size,))]

    def table(self, weight: str, name: str, rows: int, columns: int) -> None:
        """Adds a weight that is one matrix, as it is in the file.

        Args:
            weight: The model's weight.
            name: The checkpoint's tensor.
            rows: Its first size.
            columns: Its second size.
        """
        self.parts[weight] = [Part(name, (rows, columns))]

    def dense(self, layer: str, names: Iterable[str], inputs: int, outputs: Iterable[int], bias: bool) -> None:
        """Adds a dense layer that joins those of the checkpoint.

        Args:
            layer: The model's layer.
            names: The checkpoint's layers, without `.weight`.
            inputs: Size of the inputs.
            outputs: Size of the outputs of each.
            bias: Whether they have biases.
        """
        pairs = list(zip(names, outputs, strict=True))
        self.parts[f"{layer}/kernel"] = [
            Part(f"{name}.weight", (size, inputs), transposed=True) for name, size in pairs
        ]
        if bias:
            self.parts[f"{layer}/bias"] = [Part(f"{name}.bias", (size,)) for name, size in pairs]

    def attention(self, layer: str, prefix: str, names: tuple[str, str, str, str], config: TransformerConfig) -> None:
        """Adds an attention block.

        Args:
            layer: The model's layer.
            prefix: What the names of the checkpoint's layers begin with.
            names: Those of queries, keys, values and output.
            config: The model's configuration.
        """
        width, small = config.num_heads * config.head_size, config.kv_heads * config.head_size
        inner = [f"{prefix}.{name}" for name in names]
        bias = config.attention_bias
        self.dense(f"{layer}/project_in", inner[:3], config.hidden_dim, (width, small, small), bias != "none")
        self.dense(f"{layer}/project_out", inner[3:], width, (config.hidden_dim,), bias == "all")

    def feed_forward(self, layer: str, expand: list[str], contract: str, config: TransformerConfig) -> None:
        """Adds a feed-forward block.

        Args:
            layer: The model's layer.
            expand: The checkpoint's first layers: with a gate, the gate and the other.
            contract: The checkpoint's last layer.
            config: The model's configuration.
        """
        sizes, bias = [config.intermediate_dim] * len(expand), config.feed_forward_bias
        self.dense(f"{layer}/expand", expand, config.hidden_dim, sizes, bias)
        self.dense(f"{layer}/contract", [contract], config.intermediate_dim, (config.hidden_dim,), bias)
