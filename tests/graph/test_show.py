"""A graph as text."""

from __future__ import annotations

from deepdsl.graph import Builder, Type, show_graph
from deepdsl.graph.arithmetic import add, mul
from deepdsl.graph.concatenation import Split
from deepdsl.graph.gemm import Gemm
from deepdsl.nn.initializers import Normal, Zeros
from deepdsl.nn.layers.activations.relu_variants import LeakyRelu

WANTED = """\
input %x: f32[N,3]
param %w: f32[3,4] weight = normal(0.5)
param %count: i64[] counter = zeros
%dense/gemm: f32[N,4] = gemm(transpose_a=false, transpose_b=false) %x, %w
%leaky_relu: f32[N,4] = leaky_relu(slope=0.2) %dense/gemm
%split: f32[N,1], %split_2: f32[N,3] = split(axis=1, sizes=[1 3]) %leaky_relu
%mul: f32[N,3] = mul %split_2, 2.5
%add: i64[] = add %count, 1
output out = %mul
update %count = %add
"""


def test_every_kind_of_line() -> None:
    b = Builder()
    x = b.input("x", Type(("N", 3)))
    w = b.param("w", Type((3, 4)), Normal(0.5))
    count = b.param("count", Type((), "i64"), Zeros(), "counter")
    with b.at("dense"):
        h = b.add(Gemm(), x, w)
    _, rest = b.apply(Split(1, (1, 3)), b.add(LeakyRelu(0.2), h))
    out = mul(b, rest, b.constant(2.5))
    b.update(count, add(b, count, b.constant(1, "i64")))
    assert show_graph(b.graph({"out": out})) == WANTED


def test_the_order_of_nodes_and_names_does_not_change() -> None:
    from workbench import Training, training_file

    text = training_file(
        "input x[3]\n dense 4 | batch_norm | relu | dropout 10%\n dense 2 | softmax",
        "loss cross_entropy; metric accuracy; optimizer adamw; clip global_norm=1",
    )
    assert show_graph(Training(text).graph) == show_graph(Training(text).graph)
