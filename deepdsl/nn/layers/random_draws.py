"""Counter-based random numbers: a pure function of (seed, path, step, element), with no state
anywhere.

A resumed run draws what an uninterrupted one would have drawn, and so does any other host or
device.
"""

from __future__ import annotations

from math import pi

from deepdsl.core.record import record
from deepdsl.graph import Builder, Emitter, Node, Op, Type, Value
from deepdsl.nn.initializers import stream_key
from deepdsl.nn.layers.layer import Scope

STEP_PATH = "step"


@record
class UniformLike(Op):
    """Uniform numbers in [0, 1) in the shape of the first operand; the second is the step, a u32
    scalar.

    A hash in wrapping uint32 arithmetic of additions, multiplications and divisions alone, since
    CUDA has no kernels for shifts and exclusive or.  x (2x + 1) is a permutation of the 32-bit
    numbers (RC6 uses it); x + x / 2^16 brings the high half down.  The step is hashed into the key
    first, by a longer chain, so that two steps are not shifted copies.
    """

    key: int

    def infer(self, *inputs: Type) -> Type:
        return inputs[0]

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        x, step = inputs
        u32 = _Words(onnx)
        size = onnx.node("Size", x)
        index = onnx.node("Range", onnx.constant(0, "i64"), size, onnx.constant(1, "i64"))
        h = u32.step(onnx.node("Cast", index, to=12), u32.mix(step, self.key))
        # 24 bits are what a float32 holds exactly.
        top = onnx.node("Cast", u32.over(h, 256), to=1)
        unit = onnx.node("Mul", top, onnx.constant(2.0**-24, "f32"))
        if node.inputs[0].type.dtype == "f64":
            unit = onnx.node("Cast", unit, to=11)
        return onnx.node("Reshape", unit, onnx.node("Shape", x))

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[None, None]:
        return None, None


@record
class NormalFromUniform(Op):
    """Standard normal numbers: sqrt(-2 log(1 - u)) cos(2 pi v) for u and v uniform in [0, 1).

    Box & Muller 1958.  1 - u is in (0, 1], so that there is no logarithm of 0; with the 24 bits of
    u no number is beyond 5.77.
    """

    def infer(self, *inputs: Type) -> Type:
        return inputs[0]

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        u, v = inputs
        dtype = node.inputs[0].type.dtype
        log = onnx.node("Log", onnx.node("Sub", onnx.constant(1.0, dtype), u))
        radius = onnx.node("Sqrt", onnx.node("Mul", log, onnx.constant(-2.0, dtype)))
        angle = onnx.node("Mul", v, onnx.constant(2 * pi, dtype))
        return onnx.node("Mul", radius, onnx.node("Cos", angle))

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[None, None]:
        return None, None


class _Words:
    """The hash's arithmetic on unsigned 32-bit tensors."""

    def __init__(self, onnx: Emitter) -> None:
        self.onnx = onnx

    def times(self, x: str, factor: int) -> str:
        return self.onnx.node("Mul", x, self.onnx.constant(factor, "u32"))

    def plus(self, x: str, number: int) -> str:
        return self.onnx.node("Add", x, self.onnx.constant(number, "u32"))

    def over(self, x: str, divisor: int) -> str:
        return self.onnx.node("Div", x, self.onnx.constant(divisor, "u32"))

    def fold(self, x: str, divisor: int) -> str:
        return self.onnx.node("Add", x, self.over(x, divisor))

    def permute(self, x: str) -> str:
        return self.onnx.node("Mul", x, self.plus(self.onnx.node("Add", x, x), 1))

    def mix(self, word: str, key: int) -> str:
        """A scalar word hashed under a key: three rounds, since counters and keys may be close
        together.
        """
        h = self.plus(self.times(self.plus(word, 0x6A09E667), 0x9E3779B1), key)
        h = self.times(self.fold(h, 65536), 0x85EBCA6B)
        h = self.times(self.fold(h, 8192), 0xC2B2AE35)
        return self.times(self.fold(h, 65536), 0x27D4EB2F)

    def step(self, index: str, key: str) -> str:
        """One number for each index: a division is the expensive part, and there is one."""
        h = self.onnx.node("Add", self.times(index, 0x9E3779B1), key)
        return self.times(self.permute(self.fold(self.permute(h), 65536)), 0x85EBCA6B)


def step_counter(scope: Scope) -> Value:
    """The number of steps done, as a u32 scalar: the state `step`, which the step graph counts up.

    Outside training whoever runs the graph gives it: 0 in a file that is exported, so that it is a
    pure function of its inputs, and the number of the call where rows are drawn for in pieces.
    """
    from deepdsl.graph.arithmetic import cast
    from deepdsl.nn.initializers import Zeros

    b = scope.builder
    step = b.param(STEP_PATH, Type((), "i64"), Zeros(), "counter")
    return cast(b, step, "u32")


def uniform(scope: Scope, x: Value) -> Value:
    """Uniform numbers in the shape of x, their stream named by the scope's path; each use of a
    shared part has its own.
    """
    use = scope.builder.draw(scope.path)
    key = stream_key(scope.seed, f"{scope.path}\0{use}", "random") & 0xFFFFFFFF
    return scope.builder.add(UniformLike(key), x, step_counter(scope))


def normal(scope: Scope, x: Value) -> Value:
    """Standard normal numbers in the shape of x, from two draws of `uniform`."""
    first, second = uniform(scope, x), uniform(scope, x)
    return scope.builder.add(NormalFromUniform(), first, second)
