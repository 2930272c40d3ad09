"""What is said of pools and layers of images that do not fit: code, rule, place and way out."""

from __future__ import annotations

import pytest

from deepdsl.compiler.front_end import check
from deepdsl.core.source import Source

IMAGE, VECTOR = "input x[3 4 4]", "input x[40]"

# What is written -> the code, and words of the message, the label and the help.
CASES = [
    (IMAGE, "max_pool 5x5", "E201", "windows of 5 × 5 are larger than the 4 × 4"),
    (IMAGE, "max_pool 5x5", "E201", "here it is given 3 × 4 × 4"),
    (IMAGE, "max_pool 5x5", "E201", "take at most `max_pool 4x4`, write `pad=same`"),
    (IMAGE, "avg_pool 6 pad=1 | max_pool 3", "E201", "the 1 × 1 they slide over"),
    (IMAGE, "max_pool 9 pad=1", "E201", "3 × 4 × 4, with the pads 6 × 6"),
    (VECTOR, "max_pool 2x2", "E201", "it was given 40: a vector"),
    (VECTOR, "avg_pool 2x2", "E201", "put it before `flatten`: `avg_pool 2x2 | flatten`"),
    (VECTOR, "global_avg_pool", "E201", "`global_avg_pool | flatten`"),
    (VECTOR, "upsample 2", "E201", "`upsample` slides over images or sequences"),
    (VECTOR, "dropout 20% per=channel", "E201", "it was given 40: a vector"),
    (IMAGE, "max_pool 2x2x2", "E201", "`max_pool 2x2x2` is for 3 axes"),
    (IMAGE, "max_pool 2x2x2", "E201", "after the channels there are 2 axes: 4 × 4"),
    (IMAGE, "max_pool 2x2x2", "E201", "write `max_pool 2x2`"),
    (IMAGE, "max_pool 2 stride=2x2x2", "E201", "write `stride=2x2`"),
    ("input x[3 9]", "max_pool 2x2", "E201", "after the channels there is 1 axis: 9"),
    (IMAGE, "max_pool 2 pad=2", "E201", "some windows would see nothing but the pad"),
    (IMAGE, "max_pool 2 stride=0", "E103", "one number for all axes, of at least 1"),
    (IMAGE, "max_pool 0", "E103", "found `0`"),
    (IMAGE, "max_pool 2.5", "E103", "found `2.5`"),
    (IMAGE, "max_pool 2 pad=full", "E103", "`valid` or `same` or a size"),
    (IMAGE, "max_pool", "E104", "write `max_pool 3x3`"),
    (IMAGE, "max_pool 2 2", "E105", "`stride=2`"),
    (IMAGE, "avg_pool 2 count_pad=1", "E103", "`true` or `false`"),
    (IMAGE, "upsample 2 method=cubic", "E103", "`nearest` or `linear`"),
    (IMAGE, "permute [2 1]", "E201", "`permute [2 1]` does not name each axis once"),
    (IMAGE, "permute [0 1 2]", "E103", "found `[0 1 2]`"),
    (IMAGE, "permute [2 2 1]", "E201", "the axes are 1 to 3, for instance `permute [3 2 1]`"),
    (VECTOR, "permute [2 1]", "E201", "a vector has one axis, and nothing to permute"),
    (IMAGE, "crop 2", "E201", "`crop 2` leaves nothing"),
    (IMAGE, "crop 2", "E201", "it takes 4 × 4 away, of 4 × 4"),
    (IMAGE, "crop [1 2 3]", "E201", "`crop [1 2 3]` has 3 numbers"),
    (IMAGE, "zero_pad [1 2 3]", "E201", "`zero_pad [top bottom left right]`"),
    (IMAGE, "zero_pad -1", "E103", "a number, a size such as `1x2`"),
    (IMAGE, "split 2 part=1", "E201", "`split 2` makes 2 pieces of one size"),
    (IMAGE, "split 2 part=1", "E201", "3 channels can be split into 3"),
    (VECTOR, "split 3 part=1", "E201", "40 features can be split into 2, 4, 5, 8, 10, 20, 40"),
    (VECTOR, "split 2 part=3", "E201", "parts are counted from 1 to 2"),
    (VECTOR, "split [10 20] part=1", "E201", "the sizes have to sum to 40"),
    (VECTOR, "split 2", "E104", "`split` needs `part`"),
    (IMAGE, "a = x | max_pool 2\nmultiply x a", "E201", "not 3 × 4 × 4 and 3 × 2 × 2"),
    (IMAGE, "a = x | flatten\nmultiply x a", "E201", "a number for each channel: `dense 3`"),
    (IMAGE, "a = x | max_pool 2\nmean x a", "E201", "`mean` takes values of one shape"),
    (IMAGE, "a = x | max_pool 2\nx + a", "E201", "the same strides and pads"),
    (IMAGE, "a = x | conv 5 1\nx + a", "E201", "`conv 3 1` makes 3 channels of the other"),
    (IMAGE, "conv 8", "E104", "write `conv 8 3x3`"),
    (IMAGE, "conv filters=8", "E104", "write `conv filters=8 size=3x3`"),
    (IMAGE, "maxpool2d 2", "E101", "did you mean `max_pool`"),
    (IMAGE, "zeropadding2d 1", "E101", "did you mean `zero_pad`"),
    (IMAGE, "spatialdropout2d 20%", "E101", "did you mean `dropout`"),
]


@pytest.mark.parametrize(("head", "body", "code", "words"), CASES)
def test_it_is_said(head: str, body: str, code: str, words: str) -> None:
    text = f"model m {{\n  {head}\n  {body} | flatten | dense 2 | softmax\n}}\n"
    if "\n" in body:
        text = f"model m {{\n  {head}\n  {body}\n}}\n"
    _, report = check(Source("m.dnn", text))
    errors = [d for d in report if d.code.startswith("E")]
    assert [d.code for d in errors] == [code]
    (error,) = errors
    said = "\n".join([error.message, error.label, error.help])
    assert words in said
