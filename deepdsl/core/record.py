"""Frozen records: what `dataclass(frozen=True)` gives, without compiling methods for each class.

There are some two hundred small classes here (syntax nodes, operations, diagnostics), and `dnnc
check` imports most of them. `dataclass` writes and compiles source for each, about a millisecond a
class; here the methods are shared and read the fields from a table.

Every tool for dataclasses works on a record: `dataclasses.fields`, `replace`, `asdict`,
`is_dataclass`, `copy.replace`, `match`. So do `field(init=False)` and `__post_init__`, which sets
attributes by `object.__setattr__`. Missing are `slots`, `order` and `InitVar`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, FrozenInstanceError, field
from inspect import get_annotations
from typing import Any, TypeVar, dataclass_transform, overload

T = TypeVar("T")
Fields = Mapping[str, Field[Any]]

# Of each class: its fields (under the name that `dataclasses` reads), and the names of those that
# decide whether two records are equal, and what their hash is.
_TABLE, _COMPARED, _HASHED = "__dataclass_fields__", "__record_compared__", "__record_hashed__"

# From this instance of a class on, an `__init__` of its own is worth the 60 µs of its compilation:
# it takes 0.4 µs, the general one 3. Most classes have fewer instances in a `dnnc check`.
COMPILED_FROM = 24


@dataclasses.dataclass(frozen=True)
class _Pattern:
    """A dataclass, for the two marks that `dataclasses` looks for and does not export."""

    value: int


_KIND = getattr(dataclasses.fields(_Pattern)[0], "_field_type")  # noqa: B009 (not in its stub)
_PARAMS = getattr(_Pattern, "__dataclass_params__")  # noqa: B009


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
        return lambda decorated: _record(decorated, kw_only, eq, repr)
    return _record(cls, kw_only, eq, repr)


def _record(cls: type[T], kw_only: bool, eq: bool, repr: bool) -> type[T]:
    table: dict[str, Field[Any]] = {}
    for base in reversed(cls.__mro__[1:]):
        table.update(base.__dict__.get(_TABLE, {}))
    table.update(_own_fields(cls, kw_only))
    positional = tuple(name for name, f in table.items() if f.init and not f.kw_only)
    methods: dict[str, Any] = {
        _TABLE: table,
        "__dataclass_params__": _PARAMS,
        _COMPARED: tuple(name for name, f in table.items() if f.compare),
        _HASHED: tuple(
            name for name, f in table.items() if (f.compare if f.hash is None else f.hash)
        ),
        "__init__": _general_init(cls, table, positional),
        "__setattr__": _frozen,
        "__delattr__": _frozen,
        "__replace__": dataclasses.replace,
    }
    own: dict[str, Any] = {"__match_args__": positional}
    if eq:
        own.update({"__eq__": _eq, "__hash__": _hash})
        if "__eq__" in cls.__dict__ and cls.__dict__.get("__hash__") is None:
            methods["__hash__"] = _hash  # a class with an `__eq__` of its own has none otherwise
    if repr:
        own["__repr__"] = _repr
    methods.update({name: method for name, method in own.items() if name not in cls.__dict__})
    for name, method in methods.items():
        setattr(cls, name, method)
    return cls


def _own_fields(cls: type, kw_only: bool) -> dict[str, Field[Any]]:
    """The fields that the class itself annotates; their defaults become attributes of it."""
    own: dict[str, Field[Any]] = {}
    for name, annotation in get_annotations(cls).items():
        if str(annotation).startswith(("ClassVar", "typing.ClassVar")):
            continue
        given = cls.__dict__.get(name, MISSING)
        described: Field[Any] = given if isinstance(given, Field) else field(default=given)
        described.name, described.type = name, annotation
        described._field_type = _KIND  # type: ignore[attr-defined]
        if described.kw_only is MISSING:
            described.kw_only = kw_only
        own[name] = described
        if described.default is not MISSING:
            setattr(cls, name, described.default)
        elif isinstance(given, Field):
            delattr(cls, name)
    return own


# Methods of every record ---------------------------------------------------------------------


def _general_init(cls: type, table: Fields, positional: tuple[str, ...]) -> Callable[..., None]:
    """The `__init__` of the first instances. It hands over to a compiled one after some of them,
    and with wrong arguments, so that Python itself says what is wrong.
    """
    init = {name: f for name, f in table.items() if f.init}
    defaults = {name: f.default for name, f in table.items() if f.default is not MISSING}
    factories = {
        name: f.default_factory for name, f in table.items() if f.default_factory is not MISSING
    }
    count = len({**init, **defaults, **factories})
    finish = getattr(cls, "__post_init__", None)
    instances = 0

    def __init__(self: Any, /, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        nonlocal instances
        instances += 1
        values = dict(defaults)
        values.update(zip(positional, args, strict=False))
        values.update(kwargs)
        for name, factory in factories.items():
            if name not in values:
                values[name] = factory()
        wrong = (
            len(args) > len(positional)
            or len(values) != count
            or any(name not in init for name in kwargs)
            or (args and kwargs and any(name in kwargs for name in positional[: len(args)]))
        )
        if wrong or instances >= COMPILED_FROM:
            cls.__init__ = _compiled_init(cls, table)  # type: ignore[misc]
            cls.__init__(self, *args, **kwargs)  # type: ignore[misc]
            return
        self.__dict__.update(values)
        if finish is not None:
            self.__post_init__()

    return __init__


def _compiled_init(cls: type, table: Fields) -> Callable[..., None]:
    """An `__init__` for this class alone, as `dataclass` writes it."""
    names: dict[str, Any] = {"_absent": MISSING}
    positional: list[str] = []
    keywords: list[str] = []
    # Names that no field has.
    lines = ["_values = _record.__dict__"]
    for name, f in table.items():
        parameter, value = name, name
        if f.default is not MISSING:
            names[f"_default_{name}"] = f.default
            parameter, value = f"{name}=_default_{name}", name if f.init else f"_default_{name}"
        elif f.default_factory is not MISSING:
            names[f"_factory_{name}"] = f.default_factory
            parameter, value = f"{name}=_absent", f"_factory_{name}()"
            if f.init:
                value += f" if {name} is _absent else {name}"
        elif not f.init:
            continue  # `__post_init__` sets it
        if f.init:
            (keywords if f.kw_only else positional).append(parameter)
        lines.append(f"_values[{name!r}] = {value}")
    if hasattr(cls, "__post_init__"):
        lines.append("_record.__post_init__()")
    parameters = ", ".join(["_record, /", *positional, *(["*", *keywords] if keywords else [])])
    exec(f"def __init__({parameters}):\n " + "\n ".join(lines), names)
    init: Callable[..., None] = names["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init


def _frozen(self: Any, name: str, value: Any = None) -> None:
    raise FrozenInstanceError(f"{type(self).__name__}.{name} cannot be changed")


def _eq(self: Any, other: object) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    names: tuple[str, ...] = getattr(self, _COMPARED)
    here, there = self.__dict__.__getitem__, other.__dict__.__getitem__
    # As tuples: the same object is equal to itself, NaN too.
    return tuple(map(here, names)) == tuple(map(there, names))


def _hash(self: Any) -> int:
    names: tuple[str, ...] = getattr(self, _HASHED)
    return hash((type(self), *map(self.__dict__.__getitem__, names)))


def _repr(self: Any) -> str:
    table: Fields = getattr(self, _TABLE)
    shown = ", ".join(f"{name}={self.__dict__[name]!r}" for name, f in table.items() if f.repr)
    return f"{type(self).__qualname__}({shown})"
