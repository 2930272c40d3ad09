"""Write the pages that follow from the registries; --check only says if they are old."""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from pathlib import Path

from deepdsl.core.registry import Registered, Signature
from deepdsl.diagnostics import Diagnostic
from deepdsl.diagnostics.vocabulary import planned
from deepdsl.insight import help_pages as pages
from deepdsl.nn.layers.activations.base import Activation

HERE = Path(__file__).parent
NOTE = "<!-- Written by docs/generate.py; change the docstrings, not this file. -->\n"

REFERENCE = """\
# Reference

Every name that this version compiles, with its arguments, defaults and source. `dnnc explain NAME`
prints the same page. How names are put together is in [language.md](language.md); every message is
in [messages.md](messages.md).

An argument without `=` is given by its place, or by its name; one with `=` by its name only. A
computed value stands in parentheses: `scale (1 / 255)`.
"""

NOT_YET = """\
## Known and not compiled yet

These names belong to the language; this version answers them with E107. The constructs that it
does not compile are in [language.md](language.md#what-this-version-does-not-compile).
"""

MESSAGES = """\
# Messages

Every message of the compiler, the data readers and the runtime, by its code; `dnnc explain CODE`
prints the same page. A code that begins with E is an error, one with W a warning;
`# dnnc: allow W403` at the end of a line, or on a line of its own above it, silences a warning.
Codes are never used again for something else.
"""

TECHNIQUES = """\
# Techniques

What this version has against vanishing and exploding gradients, and beside it: every name with its
formula, its defaults and where it comes from. `dnnc explain NAME` says when to use it and what
other frameworks' defaults are; [reference.md](reference.md) has all arguments.
"""


def _is_activation(cls: type[Registered]) -> bool:
    return getattr(cls, "activation", None) is not None or issubclass(cls, Activation)


def _is_normalization(cls: type[Registered]) -> bool:
    return cls.name.endswith("_norm")


def _is_noise(cls: type[Registered]) -> bool:
    return "dropout" in cls.name or "noise" in cls.name


def _is_other(cls: type[Registered]) -> bool:
    return not (_is_activation(cls) or _is_normalization(cls) or _is_noise(cls))


def _any(cls: type[Registered]) -> bool:
    return True


# The tables: title, registry, which of its entries.
GROUPS = (
    ("Initializers", "initializer", _any),
    ("Activations", "layer", _is_activation),
    ("Normalization", "layer", _is_normalization),
    ("Dropout and noise", "layer", _is_noise),
    ("Other layers", "layer", _is_other),
    ("Optimizers", "optimizer", _any),
    ("Schedules", "schedule", _any),
    ("Rows of a train section", "train_row", _any),
    ("Losses", "loss", _any),
    ("Metrics", "metric", _any),
    ("Augmentation", "augmentation", _any),
)

# How an entry is written in a file, where its name alone does not show it.
WRITTEN = {
    "augmentation": "augment {}",
    "initializer": "init={}",
    "loss": "loss {}",
    "metric": "metric {}",
    "optimizer": "optimizer {}",
    "schedule": "schedule {}",
    "source": "train {}",
}

FAMILIES = {
    "E0": "Syntax",
    "E1": "Names",
    "E2": "Shapes",
    "E3": "Training",
    "E4": "Data",
    "E5": "Reuse and freezing",
    "E6": "Files, devices and numbers",
    "W4": "Lints",
    "W5": "Lints",
}

# The registries of vocabulary.py that hold options rather than names, with whose options they are.
OPTIONS = {"dense.": "options of `dense`", "onnx.": "options of `onnx`"}
SECTIONS = {"data": "a data section", "train": "a train section", "export": "an export section"}


def reference() -> str:
    """Every name that the compiler knows, by registry."""
    lines = [NOTE, REFERENCE]
    for kind, known in pages.entries().items():
        title = pages.KINDS[kind]
        lines += [f"- [{title[0].upper()}{title[1:]}](#{anchor(title)}): " + ", ".join(known)]
    lines += ["- [Known and not compiled yet](#known-and-not-compiled-yet)", ""]
    for kind, known in pages.entries().items():
        title = pages.KINDS[kind]
        lines += [f"## {title[0].upper()}{title[1:]}", ""]
        for name, cls in known.items():
            lines += entry(kind, name, cls)
    return "\n".join([*lines, *not_yet()])


def anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def entry(kind: str, name: str, cls: type[Registered]) -> list[str]:
    """The section of one entry: how it is written, its docstring, its arguments."""
    signature = cls.signature()
    places = [place(s) for s in signature if s.positional]
    options = [
        f"{s.name}=…" if s.required else f"[{s.name}=…]" for s in signature if not s.positional
    ]
    if getattr(cls, "operands", False):
        places = ["VALUE", "VALUE", "…"]
    called = kind == "initializer" and (places or options)
    told = " ".join([*places, *options])
    form = f"{name}({told})" if called else f"{name} {told}".rstrip()
    form = WRITTEN.get(kind, "{}").format(form)
    lines = [f"### {name}", "", f"    {form}", "", prose(inspect.cleandoc(cls.__doc__ or "")), ""]
    if signature:
        lines += ["| argument | takes | default | meaning |", "| --- | --- | --- | --- |"]
        lines += [row(s) for s in signature]
        lines.append("")
    return lines


def place(s: Signature) -> str:
    word = s.name.upper() + (" …" if s.many else "")
    return word if s.required else f"[{word}]"


def row(s: Signature) -> str:
    head = s.name if s.positional else f"{s.name}="
    default = "required" if s.required else f"`{s.shown(s.default)}`"
    cells = [f"`{head}`", s.kind.expected, default, s.doc]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def prose(text: str) -> str:
    """A docstring as Markdown: one space after a full stop, and no character taken for markup."""
    parts = re.split(r"(`[^`]*`)", text)
    for i in range(0, len(parts), 2):
        parts[i] = re.sub(r"([*<|\\])", r"\\\1", parts[i]).replace(".  ", ". ")
    return "".join(parts)


def not_yet() -> list[str]:
    """What the language has and this version answers with E107."""
    lines = [NOT_YET]
    titles = {**pages.KINDS, **OPTIONS, **{k: f"rows of {v}" for k, v in SECTIONS.items()}}
    for kind, title in titles.items():
        names = sorted(planned(kind))
        if names:
            lines.append(f"- {title}: " + ", ".join(f"`{name}`" for name in names))
    return [*lines, ""]


def messages() -> str:
    """Every diagnostic with its page."""
    lines = [NOTE, MESSAGES]
    family = ""
    for code, cls in pages.codes().items():
        if FAMILIES[code[:2]] != family:
            family = FAMILIES[code[:2]]
            lines += [f"## {family}", ""]
        lines += message(code, cls)
    return "\n".join(lines)


def message(code: str, cls: type[Diagnostic]) -> list[str]:
    title = re.sub(r"(?<!^)(?=[A-Z])", " ", cls.__name__).lower()
    lines = [f"### {code}: {title}", ""]
    pieces = re.split(r"```(wrong|right)\n(.*?)```", cls.page(), flags=re.S)
    lines.append(prose(pieces[0].strip()))
    for which, program, rest in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        mark = f"<!-- gives {code} -->\n" if which == "wrong" else ""
        lines += ["", f"{which.capitalize()}:", "", f"{mark}```dnn\n{program}```"]
        if rest.strip():
            lines += ["", prose(rest.strip())]
    return [*lines, ""]


def techniques() -> str:
    """Every technique in a row: its formula, its defaults, its source."""
    lines = [NOTE, TECHNIQUES]
    for title, kind, chosen in GROUPS:
        known = {n: c for n, c in pages.entries()[kind].items() if chosen(c)}
        lines += [f"## {title}", "", "| name | formula | defaults | source |"]
        lines += ["| --- | --- | --- | --- |"]
        for name, cls in known.items():
            defaults = ", ".join(
                f"`{s.name}={s.shown(s.default)}`"
                for s in cls.signature()
                if not s.required and s.default is not None
            )
            # `prose` has escaped the bars of the formula.
            cells = (f"`{name}`", prose(cls.formula()), defaults, cls.source)
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


FILES = {"reference.md": reference, "techniques.md": techniques, "messages.md": messages}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="change nothing; fail where a file is old"
    )
    options = parser.parse_args()
    old = []
    for name, make in FILES.items():
        text = make().rstrip("\n") + "\n"
        file = HERE / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            old.append(name)
            if not options.check:
                file.write_text(text, encoding="utf-8", newline="\n")
    for name in old:
        print(f"docs/{name} {'is old: run docs/generate.py' if options.check else 'written'}")
    return 1 if options.check and old else 0


if __name__ == "__main__":
    sys.exit(main())
