"""`cache=ram` where nothing can be kept."""

from __future__ import annotations

import pytest

from deepdsl.compiler.front_end import check
from deepdsl.core.source import Source

CROP = "augment crop pad=1"
CROPPED = "augmentation changes the rows in every epoch"
TEXT = """
data digits {{ train builtin digits; scale (1 / 16); {data} }}
model net {{ input x[8 8]; flatten; part low {{ dense 16 | relu }}; part high {{ dense 8 | relu }}; dense 10 | softmax }}
train net on digits {{ loss cross_entropy; seed 1; epochs 4; {train} }}
"""  # noqa: E501


@pytest.mark.parametrize(
    ("train", "data", "reason"),
    [
        ("freeze low cache=ram", "", None),
        ("freeze low cache=disk", CROP, CROPPED),
        ("freeze low", CROP, None),
        ("freeze low cache=off", CROP, None),
        ("freeze high cache=ram", "", "the first layers are not frozen"),
        ("phase one { freeze low cache=ram }; phase two { unfreeze low }", "", None),
        ("phase one { freeze high cache=ram }; phase two { freeze low }", "", None),
        (
            "phase one { freeze low cache=ram }; phase two { unfreeze low }",
            CROP,
            CROPPED,
        ),
    ],
)  # fmt: skip
def test_nothing_to_keep(train: str, data: str, reason: str | None) -> None:
    _, report = check(Source("net.dnn", TEXT.format(train=train, data=data)))
    found = [d.label for d in report if d.code == "W510"]
    assert found == ([] if reason is None else [reason])
