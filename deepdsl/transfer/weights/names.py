"""Names of tensors elsewhere, brought to pieces with dots between them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from deepdsl.core.record import record
from deepdsl.diagnostics import Diagnostic, closest
from deepdsl.diagnostics.transfer.weight_matching import WrongRename
from deepdsl.transfer.weights.conversion_rules import SPELLINGS
from deepdsl.transfer.weights.weight_file import Layout, Stored, TensorPlace

# Tensors that say nothing to inference.
_IGNORED = re.compile(r"(^|[./])num_batches_tracked$|^optimizer[./]|(^|[./])seed_generator[./]")
# A layer of PyTorch's stack of recurrent ones.
_STACKED = re.compile(r"\.?(weight|bias)_(ih|hh)_l(\d+)(_reverse)?$")

# Names that only one of them gives.
_EVIDENCE: tuple[tuple[Layout, re.Pattern[str]], ...] = (
    (
        "keras",
        re.compile(
            r"(^|[./])(kernel|depthwise_kernel|recurrent_kernel|moving_mean|moving_variance"
            r"|embeddings|vars/\d+)(:0)?$"
        ),
    ),
    (
        "torch",
        re.compile(
            r"(^|[./])(running_var|num_batches_tracked|in_proj_weight|weight_ih_l\d+(_reverse)?)$"
        ),
    ),
    ("deepdsl", re.compile(r"(^|[./])(running_variance|recurrent_weight)$")),
)


def ignored(name: str) -> bool:
    return bool(_IGNORED.search(name))


def evidence(names: Iterable[str]) -> dict[Layout, str]:
    """For each framework the first name that only it gives."""
    found: dict[Layout, str] = {}
    for name in names:
        for layout, pattern in _EVIDENCE:
            if layout not in found and pattern.search(name):
                found[layout] = name
    return found


def plain(name: str) -> str:
    """A name with dots: `layers/dense/vars/0` and `dense/dense/kernel:0` are of `dense`."""
    made = re.sub(r":\d+$", "", name)
    if "/" in made:
        pieces = [p for p in made.split("/") if p]
        if len(pieces) > 2 and pieces[-2] == "vars":
            pieces = [p for p in pieces if p != "layers"]
        if len(pieces) > 2 and pieces[-2] == pieces[-3]:
            del pieces[-2]
        made = ".".join(pieces)
    stacked = _STACKED.search(made)
    if stacked and stacked[3] != "0":
        kind, side, number, back = stacked.groups()
        made = f"{made[: stacked.start()]}.l{number}.{kind}_{side}_l0{back or ''}".lstrip(".")
    return made


@record
class NamedTensor:
    """The tensors of a source by their names as they are met here: `names` leads to those of the
    file; `renamed` are those that a rule gave, `aside` those that do not begin with the prefix.
    """

    names: Mapping[str, str]
    renamed: frozenset[str] = frozenset()
    aside: tuple[str, ...] = ()


def named(
    stored: Stored, prefix: str, rename: Iterable[str], where: TensorPlace
) -> tuple[NamedTensor, list[Diagnostic]]:
    """Take the prefix off, and rename."""
    kept: dict[str, str] = {}
    aside: list[str] = []
    for name in stored.tensors:
        if ignored(name):
            continue
        rest = _without(name, prefix, stored.own)
        if rest is None:
            aside.append(name)
        else:
            kept[name] = rest
    if prefix and not kept:
        told = f"no name in {where.shown} begins so"
        near = _prefix_near(prefix, stored.tensors)
        # After it no name is left that a rule could fit.
        return NamedTensor({}), [WrongRename(where.span, f"prefix={prefix}", told, near)]
    rules, faults = _rules(rename, where)
    made, more = _renamed(kept, rules, where)
    return replace(made, aside=tuple(aside)), faults + more


def _renamed(
    kept: Mapping[str, str], rules: Mapping[str, str], where: TensorPlace
) -> tuple[NamedTensor, list[Diagnostic]]:
    """The names of a file by those that they get, and what is wrong with the rules."""
    problems: list[Diagnostic] = []
    used: set[str] = set()
    names: dict[str, str] = {}
    renamed: set[str] = set()
    for name, short in kept.items():
        rule = _rule_for(short, rules)
        if rule is not None:
            used.add(rule)
            behind = short[len(rule) :].lstrip(".")
            short = ".".join(p for p in (rules[rule], behind) if p)
            renamed.add(short)
        if short in names:
            reason = f"`{names[short]}` and `{name}` are both called so"
            problems.append(WrongRename(where.span, short, reason, "rename one of them"))
        names.setdefault(short, name)
    for theirs in (t for t in rules if t not in used):
        reason = f"no name in {where.shown} begins with `{theirs}`"
        near = closest(theirs, {name.rpartition(".")[0] for name in kept.values()})
        some = sorted({name.split(".")[0] for name in kept.values()})[:6]
        advice = f"did you mean `{near}`?" if near else f"names begin with: {', '.join(some)}"
        problems.append(WrongRename(where.span, f"{theirs}={rules[theirs]}", reason, advice))
    return NamedTensor(names, frozenset(renamed)), problems


def _without(name: str, prefix: str, own: bool) -> str | None:
    whole = name if own else plain(name)
    if not prefix:
        return whole
    start = plain(prefix) if prefix[-1] not in "./" else plain(prefix[:-1]) + "."
    for text in (whole, name):
        if text.startswith((prefix, start)):
            cut = len(prefix) if text.startswith(prefix) else len(start)
            rest = text[cut:].lstrip("./")
            return rest if own else plain(rest)
    return None


def _prefix_near(prefix: str, names: Iterable[str]) -> str:
    heads = {n.split(mark)[0]: mark for n in names for mark in ("/" if "/" in n else ".",)}
    near = closest(prefix.rstrip("./"), heads)
    if near:
        return f'did you mean `prefix="{near}{heads[near]}"`?'
    return f"names begin with: {', '.join(sorted(heads)[:6])}"


def _rules(rename: Iterable[str], where: TensorPlace) -> tuple[dict[str, str], list[Diagnostic]]:
    rules: dict[str, str] = {}
    problems: list[Diagnostic] = []
    for text in rename:
        theirs, equals, ours = (part.strip() for part in text.partition("="))
        theirs = plain(theirs)
        if not equals or not theirs:
            reason = "it does not say what is called what"
            advice = 'write `rename=["fc1=dense_1"]`, the name in the file first'
            problems.append(WrongRename(where.span, text, reason, advice))
        elif rules.get(theirs, ours) != ours:
            reason = f"`{theirs}` is renamed twice"
            problems.append(WrongRename(where.span, text, reason, "remove one of them"))
        else:
            rules[theirs] = ours.strip(".")
    return rules, problems


def _rule_for(name: str, rules: Mapping[str, str]) -> str | None:
    """The longest name of a rule that a name begins with, at the end of a piece."""
    fit = [t for t in rules if name == t or name.startswith(f"{t}.")]
    return max(fit, key=len, default=None)


# Layers of a file ---------------------------------------------------------------------------------

_KNOWN = {s for table in SPELLINGS.values() for names in table.values() for s in names}
_PRODUCT = re.compile(
    r"(?P<layer>.*?)\.?(?P<leaf>(query|key|value|output|attention_output|[qkvo]|[qkvo]_proj"
    r"|out_proj|(query|key|value|output)_dense)\.(weight|bias|kernel|vars\.\d))"
)
_LEAF = re.compile(
    r"(?P<layer>.*?)\.?(?P<leaf>"
    r"((forward|backward)_\w+\.)?\w*cell\.(kernel|recurrent_kernel|bias|vars\.\d)"
    r"|(backward_)?(recurrent_)?(weight|bias)|(weight|bias)_(ih|hh)_l0(_reverse)?"
    r"|recurrent_kernel|in_proj_(weight|bias)|vars\.\d+|\w+\.ReadVariableOp|[^.]+)"
)


def layers_of(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """The layers of a file: for each, by what its tensors are called in it, their whole names.

    A tensor with a name of its own alone is a layer of one, whose tensor is called ``.
    """
    listed = list(names)
    attending = _attending(listed)
    made: dict[str, dict[str, str]] = {}
    for name in listed:
        match = _PRODUCT.fullmatch(name)
        if match is None or match["layer"] not in attending:
            match = _LEAF.fullmatch(name)
        layer, leaf = (match["layer"], match["leaf"]) if match else ("", name)
        if "." not in leaf and leaf not in _KNOWN and not _LEAF_KNOWN.fullmatch(leaf):
            layer, leaf = name, ""
        made.setdefault(layer, {})[leaf] = name
    return made


_LEAF_KNOWN = re.compile(
    r"(backward_)?(recurrent_)?(weight|bias)|(weight|bias)_(ih|hh)_l0(_reverse)?"
    r"|recurrent_kernel|in_proj_(weight|bias)"
)


def _attending(names: Iterable[str]) -> set[str]:
    """The layers that have a query, a key and a value, or all three in one."""
    parts: dict[str, set[str]] = {}
    for name in names:
        match = _PRODUCT.fullmatch(name)
        if match:
            parts.setdefault(match["layer"], set()).add(match["leaf"].split(".")[0][0])
        elif name.endswith("in_proj_weight"):
            parts.setdefault(name.removesuffix("in_proj_weight").rstrip("."), set()).add("qkv")
    return {layer for layer, found in parts.items() if "qkv" in found or found >= set("qkv")}
