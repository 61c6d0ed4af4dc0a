"""How much arithmetic, and how many bytes of memory, a piece of a language model costs at least.

Owns the counting, from the shapes of a decoder's layers. Pure: it knows no model, no clock and no machine.
A multiplication and an addition are two operations. Only matrix products count; what is element by element is next to
nothing beside them. What learns is float32; the model's own numbers may be smaller.
"""

from dataclasses import dataclass

BYTES = 4
"""Of a float32."""

PASSES_OF_ADAM = 7
"""Parameter, gradient and two moments are read; the parameter and the moments are written."""


@dataclass(frozen=True, slots=True)
class Work:
    """Floating-point operations, and bytes that must cross the memory bus."""

    flops: float = 0.0
    bytes: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        return Work(self.flops + other.flops, self.bytes + other.bytes)

    def __bool__(self) -> bool:
        return self.flops > 0 or self.bytes > 0


NOTHING = Work()


@dataclass(frozen=True, slots=True)
class Linear:
    """A weight matrix. `reads_input`: of queries, keys or values; it is applied to what the layer is given."""

    inputs: int
    outputs: int
    reads_input: bool = False

    @property
    def size(self) -> int:
        """How many weights."""
        return self.inputs * self.outputs


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of a decoder: its weight matrices, and its `heads` of `head_size`, of which `kv_heads` are kept.

    `number`: bytes of one of its numbers.
    """

    linears: tuple[Linear, ...]
    heads: int
    kv_heads: int
    head_size: int
    number: int = BYTES

    @property
    def weights(self) -> int:
        """How many there are."""
        return sum(linear.size for linear in self.linears)


def causal_pairs(new: int, known: int = 0) -> int:
    """How many (token, earlier token or itself) pairs `new` tokens behind `known` ones attend to."""
    return new * known + new * (new + 1) // 2


def attention(layer: Layer, pairs: int) -> float:
    """Operations of scores and mixture of `pairs` of tokens."""
    return 4.0 * layer.heads * layer.head_size * pairs


def forward(layer: Layer, new: int, known: int = 0, rank: int = 0) -> Work:
    """A layer reads `new` tokens behind `known` ones, whose keys and values are in a cache; `rank` of the LoRA worn."""
    lora = sum(linear.inputs + linear.outputs for linear in layer.linears) * rank
    flops = 2.0 * new * (layer.weights + lora) + attention(layer, causal_pairs(new, known))
    cached = 2 * layer.kv_heads * layer.head_size * (known + new)
    return Work(flops, float(layer.number * (layer.weights + cached) + BYTES * lora))


def backward(layer: Layer, new: int, rank: int, *, reaches_below: bool) -> Work:
    """The gradient of a layer's LoRA of `rank`, the layer's own weights being fixed.

    Args:
        reaches_below: whether the gradient of the layer's input is wanted, too; not in the lowest layer that learns.
    """
    flops = 2.0 * attention(layer, causal_pairs(new))  # two products forward, four backward
    read = 0.0
    for linear in layer.linears:
        onward = reaches_below or not linear.reads_input
        sides = linear.inputs + linear.outputs
        flops += 2.0 * new * rank * (sides + linear.outputs + (linear.inputs if onward else 0))
        flops += 2.0 * new * linear.size * onward
        read += layer.number * linear.size * onward + BYTES * 2 * rank * sides
    return Work(flops, read)


def product(rows: int, inputs: int, outputs: int, number: int = BYTES) -> Work:
    """(rows, inputs) times a weight matrix (inputs, outputs) of numbers of so many bytes: the output head."""
    return Work(2.0 * rows * inputs * outputs, float(number * inputs * outputs))


def adam(parameters: int) -> Work:
    """A step of Adam; its few operations wait for memory."""
    return Work(0.0, float(BYTES * PASSES_OF_ADAM * parameters))


@dataclass(frozen=True, slots=True)
class Rates:
    """What this machine can do.

    Attributes:
        flops: operations a second in matrix products of the model's shapes; the median of `shapes`.
        bandwidth: bytes a second, of a large array that is read.
        shapes: (rows, inputs, outputs) -> operations a second.
        numbers: what is multiplied, in torch's words.
    """

    flops: float
    bandwidth: float
    shapes: tuple[tuple[tuple[int, int, int], float], ...] = ()
    numbers: str = "float32"

    def floor(self, work: Work) -> float:
        """Seconds that `work` takes at least: arithmetic and memory can go on at the same time."""
        return max(work.flops / self.flops, work.bytes / self.bandwidth)
