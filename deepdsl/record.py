"""Frozen records: what `dataclass(frozen=True)` gives, without compiling methods for each class.

There are some two hundred small classes here (syntax nodes, operations, diagnostics), and `dnnc
check` imports most of them. `dataclass` writes and compiles source for each, about a millisecond a
class; here the methods are shared and read the fields from a table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, FrozenInstanceError, field
from inspect import get_annotations
from typing import Any, TypeVar, dataclass_transform, overload

T = TypeVar("T")

# Of each class: its fields, the names of those given by place, and of those that make it equal to
# another.
_TABLE, _PLACES, _COMPARED = "__record_fields__", "__record_places__", "__record_compared__"


@dataclass_transform(frozen_default=True, field_specifiers=(field, Field))
@overload
def record(cls: type[T], /) -> type[T]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(field, Field))
@overload
def record(
    *, kw_only: bool = False, eq: bool = True, repr: bool = True
) -> Callable[[type[T]], type[T]]: ...
def record(
    cls: type[T] | None = None, /, *, kw_only: bool = False, eq: bool = True, repr: bool = True
) -> Any:
    """Make a class a frozen record of its annotated fields; a field is as in `dataclasses`."""
    if cls is None:
        return lambda made: _record(made, kw_only, eq, repr)
    return _record(cls, kw_only, eq, repr)


def _record(cls: type[T], kw_only: bool, eq: bool, repr: bool) -> type[T]:
    own: dict[str, Field[Any]] = {}
    for name, annotation in get_annotations(cls).items():
        if str(annotation).startswith(("ClassVar", "typing.ClassVar")):
            continue
        given = cls.__dict__.get(name, MISSING)
        made: Field[Any] = given if isinstance(given, Field) else field(default=given)
        made.name = name
        if made.kw_only is MISSING:
            made.kw_only = kw_only
        own[name] = made
        if made.default is not MISSING:
            setattr(cls, name, made.default)
        elif isinstance(given, Field):
            delattr(cls, name)
    inherited: dict[str, Field[Any]] = {}
    for base in reversed(cls.__mro__[1:]):
        inherited.update(base.__dict__.get(_TABLE, {}))
    table = {**inherited, **own}
    setattr(cls, _TABLE, table)
    setattr(cls, _PLACES, tuple(name for name, f in table.items() if not f.kw_only))
    setattr(cls, _COMPARED, tuple(name for name, f in table.items() if f.compare))
    methods: dict[str, Any] = {"__init__": _init, "__setattr__": _frozen, "__delattr__": _frozen}
    if eq:
        methods.update({"__eq__": _eq, "__hash__": _hash})
    for name, method in methods.items():
        setattr(cls, name, method)
    if repr and "__repr__" not in cls.__dict__:
        cls.__repr__ = _repr  # type: ignore[method-assign]
    return cls


def fields_of(record_or_class: Any) -> tuple[Field[Any], ...]:
    """The fields of a record, those of its bases first."""
    table: Mapping[str, Field[Any]] = getattr(record_or_class, _TABLE)
    return tuple(table.values())


def changed(record: T, **values: Any) -> T:
    """The record with some fields given other values."""
    before = {f.name: getattr(record, f.name) for f in fields_of(record)}
    return type(record)(**{**before, **values})


def _init(self: Any, *args: Any, **kwargs: Any) -> None:
    table: Mapping[str, Field[Any]] = getattr(self, _TABLE)
    places: tuple[str, ...] = getattr(self, _PLACES)
    values = self.__dict__
    if len(args) > len(places):
        raise TypeError(f"{type(self).__name__} takes {len(places)} values, not {len(args)}")
    values.update(zip(places, args, strict=False))
    for name, value in kwargs.items():
        if name not in table or name in values:
            raise TypeError(f"{type(self).__name__} cannot take `{name}`")
        values[name] = value
    if len(values) == len(table):
        return
    for name, f in table.items():
        if name in values:
            continue
        if f.default_factory is not MISSING:
            values[name] = f.default_factory()
        elif f.default is MISSING:
            raise TypeError(f"{type(self).__name__} needs `{name}`")
        else:
            values[name] = f.default


def _frozen(self: Any, name: str, value: Any = None) -> None:
    raise FrozenInstanceError(f"{type(self).__name__}.{name} cannot be changed")


def _key(self: Any) -> tuple[Any, ...]:
    names: tuple[str, ...] = getattr(self, _COMPARED)
    return tuple(map(self.__dict__.__getitem__, names))


def _eq(self: Any, other: object) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return _key(self) == _key(other)


def _hash(self: Any) -> int:
    return hash((type(self), _key(self)))


def _repr(self: Any) -> str:
    table: Mapping[str, Field[Any]] = getattr(self, _TABLE)
    told = ", ".join(f"{name}={self.__dict__[name]!r}" for name, f in table.items() if f.repr)
    return f"{type(self).__qualname__}({told})"
