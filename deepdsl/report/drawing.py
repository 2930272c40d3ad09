"""A model as boxes in the order of computation: what each holds, its shape, its parameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from deepdsl.analysis import Call, Model
from deepdsl.charts.escape import escape
from deepdsl.ir import by_times

WIDTH, BOX, GAP = 440, 40, 16
LEFT, LANE = 8, 12
MOST_BOXES = 60
MOST_LANES = 8


class Box:
    """An input, or a layer with the layers without weights that only it feeds."""

    def __init__(
        self, words: str, path: str, shape: tuple[int, ...], params: int, inputs: list[int]
    ) -> None:
        self.words, self.path, self.shape = words, path, shape
        self.params, self.inputs = params, inputs


def boxes(model: Model) -> list[Box]:
    """The boxes of a model; `inputs` are the numbers of other boxes."""
    made = [Box(f"input {i.name}", "", i.row_shape, 0, []) for i in model.inputs]
    holder = list(range(len(made)))  # for each value the box that it comes from
    uses = Counter(n for call in model.calls for n in call.inputs)
    uses.update(model.outputs.values())
    counted: set[str] = set()
    for call in model.calls:
        fresh = {p.name: p.type.count or 0 for p in call.params if p.name not in counted}
        counted |= fresh.keys()
        shape = tuple(d for d in call.type.shape[1:] if isinstance(d, int))
        if _joins(call, uses, len(model.inputs), holder, len(made)):
            made[-1].words += f" | {call.layer.name}"
            made[-1].shape = shape
        else:
            sources = list(dict.fromkeys(holder[n] for n in call.inputs))
            made.append(Box(call.layer.name, call.path, shape, sum(fresh.values()), sources))
        holder.append(len(made) - 1)
    return made


def _joins(call: Call, uses: Counter[int], inputs: int, holder: Sequence[int], count: int) -> bool:
    """Whether a layer stands in the box before it."""
    if call.params or len(call.inputs) != 1:
        return False
    (source,) = call.inputs
    return source >= inputs and uses[source] == 1 and holder[source] == count - 1


def draw_model(model: Model) -> str:
    """Inline SVG.  An arrow between neighbours is straight; one past other boxes runs at the left
    side.
    """
    every = boxes(model)
    drawn = every[:MOST_BOXES]
    edges = [(a, b) for b, box in enumerate(drawn) for a in box.inputs]
    far = [(a, b) for a, b in edges if b - a > 1]
    lanes = _lanes(far)
    left = LEFT + LANE * (max(lanes.values(), default=-1) + 1) + (6 if far else 0)
    body = [f for number, box in enumerate(drawn) for f in _box(box, number, left)]
    for a, b in edges:
        if b - a == 1:
            body.append(_arrow(f"M{_middle(left):.0f},{_top(b) - GAP} V{_top(b) - 5}"))
        else:
            x = left - 8 - LANE * lanes[a, b]
            start, end = _top(a) + BOX / 2, _top(b) + BOX / 2
            body.append(_arrow(f"M{left},{start} H{x} V{end} H{left - 5}", side=True))
    height = _top(len(drawn)) - GAP + 6
    if len(every) > len(drawn):
        body.append(_text(left, height + 10, f"and {len(every) - len(drawn)} boxes more"))
        height += 20
    told = ", then ".join(f"{b.words} {by_times(b.shape)}" for b in drawn)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {WIDTH} {height}"'
        f' font-size="12" font-family="system-ui, sans-serif" aria-label="{escape(model.name)}">'
        f"<title>{escape(f'The model {model.name}')}</title><desc>{escape(told)}</desc>"
        f"{''.join(body)}</svg>"
    )


def _lanes(far: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """A lane for each arrow that passes boxes: those that pass the same one have different
    lanes.
    """
    lanes: dict[tuple[int, int], int] = {}
    for a, b in sorted(far, key=lambda e: e[1] - e[0]):
        taken = {lane for (c, d), lane in lanes.items() if c < b and a < d and (c != a)}
        free = next((i for i in range(MOST_LANES) if i not in taken), MOST_LANES - 1)
        lanes[a, b] = free
    return lanes


def _top(number: int) -> int:
    return 6 + number * (BOX + GAP)


def _middle(left: float) -> float:
    return (left + WIDTH) / 2


def _box(box: Box, number: int, left: float) -> Iterator[str]:
    top, right = _top(number), WIDTH - 8
    yield (
        f'<rect x="{left}" y="{top}" width="{right - left}" height="{BOX}" rx="5" fill="#0072b2"'
        ' fill-opacity="0.08" stroke="currentColor" stroke-opacity="0.4"/>'
    )
    params = f"{box.params:,} parameters" if box.params else ""
    yield _text(left + 8, top + 17, _fitted(box.words, 40), weight=600)
    yield _text(right - 8, top + 17, by_times(box.shape), "end")
    yield _text(left + 8, top + 33, _fitted(box.path, 40), faint=True)
    yield _text(right - 8, top + 33, params, "end", faint=True)


def _fitted(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def _text(
    x: float, y: float, text: str, anchor: str = "start", *, faint: bool = False, weight: int = 400
) -> str:
    opacity = ' fill-opacity="0.75"' if faint else ""
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}"'
        f' fill="currentColor"{opacity}>{escape(text)}</text>'
    )


def _arrow(path: str, side: bool = False) -> str:
    """A line with a head: downwards, or to the right where it comes from the side."""
    x, y = (path.rsplit("M")[-1].split()[0].split(",")) if not side else ("", "")
    if side:
        end_y, end_x = path.split(" V")[1].split(" H")
        head = f"M{end_x},{float(end_y) - 3.5} l6,3.5 l-6,3.5 z"
    else:
        head = f"M{float(x) - 3.5},{float(y) + GAP - 6} l3.5,6 l3.5,-6 z"
    return (
        f'<path d="{path}" fill="none" stroke="currentColor" stroke-opacity="0.6"/>'
        f'<path d="{head}" fill="currentColor" fill-opacity="0.7"/>'
    )
