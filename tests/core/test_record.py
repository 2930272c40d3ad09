"""A record is a frozen dataclass to whoever looks: to `dataclasses`, `copy`, `pickle`, `match`."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import sys
from dataclasses import FrozenInstanceError, dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import pytest

from deepdsl.core.record import COMPILED_FROM, record

RECORDS_AND_DATACLASSES = pytest.mark.parametrize("frozen", [record, dataclass(frozen=True)])


@record
class Point:
    x: int
    y: int = 0
    tags: tuple[str, ...] = field(default_factory=tuple)
    note: str = field(default="", compare=False)
    secret: str = field(default="-", repr=False)
    kind: ClassVar[str] = "point"


@record
class Named(Point):
    y: int = 7
    name: str = field(default="", kw_only=True)


@record(kw_only=True)
class Options:
    rate: float
    steps: int = 3


@record(eq=False)
class Node:
    name: str


def used(cls: Any, *args: Any, **kwargs: Any) -> None:
    """Make so many instances that the class has its compiled `__init__`."""
    for _ in range(COMPILED_FROM):
        cls(*args, **kwargs)


def test_defaults_and_places() -> None:
    for _ in range(2 * COMPILED_FROM):
        point = Point(1)
        assert (point.x, point.y, point.tags, point.note, point.secret) == (1, 0, (), "", "-")
        assert Point(1, 2, ("a",), note="n").tags == ("a",)
        assert Point(y=2, x=1) == Point(1, 2)
    assert Point.kind == "point"
    assert Point.y == 0
    assert "kind" not in vars(point)


def test_a_factory_makes_one_for_each() -> None:
    @record
    class Holder:
        items: list[int] = field(default_factory=list)

    for _ in range(2 * COMPILED_FROM):
        one, other = Holder(), Holder()
        assert one.items == []
        assert one.items is not other.items


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((), {}, "missing 1 required positional argument: 'x'"),
        ((1, 2, (), "", "", 9), {}, "takes from 2 to 6 positional arguments but 7 were given"),
        ((1,), {"x": 1}, "multiple values for argument 'x'"),
        ((1,), {"z": 1}, "unexpected keyword argument 'z'"),
        ((), {"z": 1}, "unexpected keyword argument 'z'"),
    ],
)
def test_wrong_arguments_are_told_by_python(
    args: tuple[Any, ...], kwargs: dict[str, Any], words: str
) -> None:
    @record
    class Fresh(Point): ...

    for _ in range(2):
        with pytest.raises(TypeError, match=r"Fresh\.__init__") as caught:
            Fresh(*args, **kwargs)
        assert words in str(caught.value)


def test_frozen() -> None:
    point = Point(1)
    with pytest.raises(FrozenInstanceError):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del point.x
    assert issubclass(FrozenInstanceError, AttributeError)


def test_inheritance_keeps_the_place_of_a_field() -> None:
    assert [f.name for f in dataclasses.fields(Named)] == [
        *("x", "y", "tags", "note", "secret", "name")
    ]
    for _ in range(2 * COMPILED_FROM):
        assert Named(1).y == 7
        assert Point(1).y == 0
        assert Named(1, 2, name="n").name == "n"
    assert Named(1) != Point(1, 7)
    with pytest.raises(TypeError, match="positional"):
        Named(1, 2, (), "", "", "n")  # type: ignore[misc]


def test_keywords_only() -> None:
    for _ in range(2 * COMPILED_FROM):
        assert Options(rate=0.1).steps == 3
    with pytest.raises(TypeError, match="positional"):
        Options(0.1)  # type: ignore[misc]
    assert Options.__match_args__ == ()  # type: ignore[attr-defined]


def test_equality_and_hash() -> None:
    assert Point(1, note="a") == Point(1, note="b")
    assert hash(Point(1, note="a")) == hash(Point(1, note="b"))
    assert Point(1) != Point(2)
    assert Point(1) != (1, 0, (), "", "-")
    assert len({Point(1), Point(1), Point(2)}) == 2
    nan = float("nan")
    assert Options(rate=nan) == Options(rate=nan)


def test_identity_where_eq_is_off() -> None:
    one, other = Node("a"), Node("a")
    assert one != other
    assert len({one, other}) == 2


def test_own_methods_stay() -> None:
    @record
    class Own:
        a: int
        b: int = 0

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Own) and self.a == other.a

        def __hash__(self) -> int:
            return self.a

        def __repr__(self) -> str:
            return "own"

    assert Own(1, 2) == Own(1, 3)
    assert (hash(Own(4)), repr(Own(1))) == (4, "own")


def test_fields_left_out_of_the_hash() -> None:
    @record
    class Partly:
        a: int
        b: list[int] = field(default_factory=list, hash=False)

    assert hash(Partly(1, [2])) == hash(Partly(1, [3]))
    assert Partly(1, [2]) != Partly(1, [3])


def test_repr() -> None:
    assert repr(Point(1, note="n")) == "Point(x=1, y=0, tags=(), note='n')"


def test_fields_are_those_of_a_dataclass() -> None:
    found = {f.name: f for f in dataclasses.fields(Point(1))}
    assert list(found) == ["x", "y", "tags", "note", "secret"]
    assert found["x"].type == "int"
    assert found["y"].default == 0
    assert not found["note"].compare
    assert not found["secret"].repr
    assert dataclasses.is_dataclass(Point)
    assert dataclasses.is_dataclass(Point(1))


def test_asdict_and_astuple() -> None:
    @record
    class Line:
        start: Point
        ends: list[Point]

    told = dataclasses.asdict(Line(Point(1), [Point(2)]))
    assert told["start"]["x"] == 1
    assert told["ends"][0]["x"] == 2
    assert dataclasses.astuple(Line(Point(1), []))[0][0] == 1


def test_replace() -> None:
    point = Point(1, 2, note="n")
    assert dataclasses.replace(point, y=5) == Point(1, 5)
    assert dataclasses.replace(point, y=5).note == "n"
    assert type(dataclasses.replace(Named(1), x=2)) is Named
    assert dataclasses.replace(Options(rate=1.0), steps=9) == Options(rate=1.0, steps=9)
    with pytest.raises(TypeError, match="z"):
        dataclasses.replace(point, z=1)  # type: ignore[call-arg]
    assert point.__replace__(x=4) == Point(4, 2)  # type: ignore[attr-defined]
    if sys.version_info >= (3, 13):
        assert copy.replace(point, x=4) == Point(4, 2)


def test_match() -> None:
    match Named(1, 2):
        case Named(x, y, tags=()):
            assert (x, y) == (1, 2)
        case _:
            pytest.fail("it matches by its places")


@pytest.mark.parametrize("value", [Point(1, 2, ("a",), "n"), Named(1, name="n"), Options(rate=0.5)])
def test_copies_and_pickles(value: Any) -> None:
    for made in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert made == value
        assert type(made) is type(value)
        assert vars(made) == vars(value)
        with pytest.raises(FrozenInstanceError):
            made.x = 1


@RECORDS_AND_DATACLASSES
def test_post_init_and_fields_that_it_sets(frozen: Any) -> None:
    @frozen
    class Squared:
        a: int
        square: int = field(init=False)
        log: list[int] = field(init=False, default_factory=list)
        unit: str = field(init=False, default="m")

        def __post_init__(self) -> None:
            object.__setattr__(self, "square", self.a**2)

    for _ in range(2 * COMPILED_FROM):
        made = Squared(3)
        assert (made.square, made.log, made.unit) == (9, [], "m")
        assert dataclasses.replace(made, a=4).square == 16
    with pytest.raises(TypeError, match="square"):
        Squared(3, square=9)
    with pytest.raises(ValueError, match="square"):
        dataclasses.replace(made, square=1)


@RECORDS_AND_DATACLASSES
def test_cached_properties(frozen: Any) -> None:
    @frozen
    class Lazy:
        a: int

        @cached_property
        def twice(self) -> list[int]:
            return [self.a, self.a]

    made = Lazy(1)
    assert made.twice is made.twice
    assert made == Lazy(1)
    assert dataclasses.replace(made, a=2).twice == [2, 2]


def test_records_and_dataclasses_inherit_from_each_other() -> None:
    @dataclass(frozen=True)
    class Base:
        a: int

    @record
    class Middle(Base):
        b: int = 1

    @dataclass(frozen=True)
    class Last(Middle):
        c: int = 2

    assert (Middle(5).a, Middle(5).b) == (5, 1)
    assert Last(5) == Last(5, 1, 2)
    assert Last(5).b == 1


def test_names_that_a_method_might_use_itself() -> None:
    @record
    class Odd:
        self: int
        values: int
        args: int
        cls: int = 4
        kwargs: int = 5

    for _ in range(2 * COMPILED_FROM):
        assert dataclasses.astuple(Odd(1, 2, args=3)) == (1, 2, 3, 4, 5)
        assert Odd(self=1, values=2, args=3).self == 1


def test_a_much_used_class_has_a_compiled_init() -> None:
    @record
    class Much:
        a: int

    before = Much.__init__
    used(Much, 1)
    assert Much.__init__ is not before
    assert Much.__init__.__qualname__.endswith("Much.__init__")


def test_a_subclass_without_decorator_has_the_fields_of_its_base() -> None:
    class Plain(Point):
        extra = 3

    for _ in range(2 * COMPILED_FROM):
        assert (Plain(1).x, Plain(1).extra) == (1, 3)
    assert Plain(1) == Plain(1) != Point(1)
