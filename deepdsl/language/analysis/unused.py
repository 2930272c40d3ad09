"""Finds what is defined and never used."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from deepdsl.core.source import Span
from deepdsl.diagnostics.language.unused import UnusedName
from deepdsl.graph import Value
from deepdsl.language.analysis.definitions import Definitions
from deepdsl.language.analysis.frames import Frame
from deepdsl.language.analysis.trace import Trace
from deepdsl.language.syntax import ast
from deepdsl.language.syntax.edits import drop_statement
from deepdsl.language.syntax.walk import names_in, nodes


def unused_in_model(
    body: ast.Body,
    frame: Frame,
    trace: Trace,
    lets: Sequence[ast.Let],
    placed: Collection[Span],
    outputs: Mapping[str, tuple[Value, Span]],
) -> Iterator[UnusedName]:
    """The inputs, values, constants and parts of a model that nothing reads."""
    kept = {value for value, _ in outputs.values()}
    for name, flowing in frame.values.items():
        value = flowing.value
        if value is not None and value not in trace.read and value not in kept:
            what = "input" if any(i.name == name for i in trace.inputs) else "value"
            yield UnusedName(flowing.span, what, name)
    for let in lets:
        if let.name.span not in frame.env.used:
            yield _left_out(let, "constant")
    yield from _unused_parts(body, placed)


def _unused_parts(body: ast.Body, placed: Collection[Span]) -> Iterator[UnusedName]:
    for statement in body.statements:
        if not isinstance(statement, ast.Part):
            continue
        if statement.name.span in placed:
            yield from _unused_parts(statement.body, placed)
        else:
            yield _left_out(statement, "part")


def unused_in_file(home: Definitions) -> Iterator[UnusedName]:
    """The constants, blocks and used files that nothing speaks of, and what blocks do not use.

    A file without a model is there to be used: its blocks are for others.
    """
    used = home.env.used
    for item in home.file.items:
        match item:
            case ast.Let() if item.name.span not in used:
                if _has_models(home.file):
                    yield _left_out(item, "constant")
            case ast.Use() if item.name.span not in used:
                yield _left_out(item, "file")
            case ast.Block():
                if item.name.span not in used and _has_models(home.file):
                    yield _left_out(item, "block")
                yield from _unused_in_block(item)


def _has_models(file: ast.File) -> bool:
    return any(isinstance(item, ast.Model) for item in file.items)


def _unused_in_block(block: ast.Block) -> Iterator[UnusedName]:
    """The parameters, constants and values of a block that its text never speaks of."""
    spoken = names_in(block.body)
    for number, parameter in enumerate(block.parameters):
        name = parameter.name.text
        later = block.parameters[number + 1 :]
        if name not in spoken and not any(name in names_in(p.default) for p in later):
            yield UnusedName(parameter.name.span, "parameter", name)
    for node in nodes(block.body):
        if not isinstance(node, ast.Body):
            continue
        # The last line is the block's value, whatever its name.
        final = node.statements[-1] if node.statements else None
        last = final.name.text if isinstance(final, ast.Bind) else ""
        for statement in node.statements:
            if isinstance(statement, ast.Let) and statement.name.text not in spoken:
                yield _left_out(statement, "constant")
            elif isinstance(statement, ast.Bind) and statement.name.text not in spoken | {last}:
                yield UnusedName(statement.name.span, "value", statement.name.text)


def _left_out(item: ast.Let | ast.Part | ast.Block | ast.Use, what: str) -> UnusedName:
    return UnusedName(item.name.span, what, item.name.text, fixes=(drop_statement(item.span),))
