"""The page about a run: curves, figures, confusion, the model, the plan and the text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from deepdsl.core.atomic_files import write_atomically
from deepdsl.core.version import VERSION
from deepdsl.diagnostics import Diagnostic
from deepdsl.insight.charts import Section, cards, code, heat_table, page, paragraph, table
from deepdsl.insight.charts.axes import shown
from deepdsl.insight.drawing import picture
from deepdsl.insight.report.confusion import Confusion
from deepdsl.insight.report.curves import curves_section, probe_section
from deepdsl.insight.report.history import (
    History,
    figures_of,
    matrix_of,
    number,
    read_history,
    read_probe,
)
from deepdsl.insight.report.plan import plan_rows
from deepdsl.insight.summary import layer_rows, table_rows
from deepdsl.insight.training_plan import plan
from deepdsl.language.analysis import Training
from deepdsl.training.run_directory import Described

REPORT = "report.html"
# A table of more classes is no longer read; the commonest mistakes are.
MOST_CLASSES = 40
MOST_MISTAKES = 20
# More layers than this are shown on a click.
MANY_LAYERS = 40


def write_report(
    subject: Described, out: Path | None = None, confusion: Confusion | None = None
) -> Path:
    """Write the page of a run, `RUN/report.html` by default; where it is."""
    place = out or subject.path / REPORT
    write_atomically(place, report(subject, confusion).encode())
    return place


def report(subject: Described, confusion: Confusion | None = None) -> str:
    """The page of a run as is in its directory."""
    history = read_history(subject.path)
    result = subject.manifest.get("result")
    restored = _whole(result, "restored_epoch")
    best = restored if restored is not None else history.best
    if confusion is None:
        found = {s: matrix_of(history.records, s) for s in ("valid", "train")}
        confusion = next((Confusion(s, m) for s, m in found.items() if m), None)
    sections = [
        curves_section(history, best),
        _figures(result, subject.training, history),
        _confusion(confusion, subject.manifest),
        probe_section(read_probe(subject.path)),
        _layers(subject),
        _plan(subject),
        _warnings(subject.warnings),
        Section("The file", code(subject.program.source.text)),
        *(Section(f"Used: {s.name}", code(s.text)) for s in subject.program.uses.sources),
    ]
    lead = "".join(_lead(subject, history, result, best))
    return page(f"{subject.model.name}: {subject.path.name}", [s for s in sections if s], lead)


def _lead(subject: Described, history: History, result: Any, best: int | None) -> Iterator[str]:
    by = subject.manifest.get("deepdsl", "")
    yield paragraph(f"{subject.path}, trained by deepdsl {by}; this page is by {VERSION}.", "note")
    counted = subject.manifest.get("parameters")
    told = {"parameters": f"{counted['total']:,}"} if isinstance(counted, dict) else {}
    yield cards({**_cards(subject, history, result, best), **told})
    for words in _notes(history, result):
        yield paragraph(words, "warning")


def _cards(subject: Described, history: History, result: Any, best: int | None) -> dict[str, str]:
    done = history.epochs[-1] if history.records else 0
    told = {"epochs": f"{done} of {subject.training.epochs}"}
    if best is not None:
        told["best epoch"] = str(best)
    epoch = _final_epoch(result)
    for split in ("test", "valid", "train"):
        if figures := figures_of(result, split):
            # The best epoch beside figures of another one would pass for theirs.
            of = f", epoch {epoch}" if epoch not in (None, best) else ""
            for name, value in figures.items():
                if not isinstance(value, list):
                    told[f"{split} {name}{of}"] = shown(number(value), 4)
            break
    seconds = number(result.get("wall_s")) if isinstance(result, dict) else float("nan")
    if seconds == seconds:
        told["time"] = _duration(seconds)
    return told


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _whole(result: Any, key: str) -> int | None:
    value = result.get(key) if isinstance(result, dict) else None
    return value if type(value) is int else None


def _final_epoch(result: Any) -> int | None:
    """The epoch after which the weights were as the run ends with them."""
    return _whole(result, "restored_epoch") or _whole(result, "epochs")


def _notes(history: History, result: Any) -> Iterator[str]:
    """How the run ended, and what its log lacks."""
    if not isinstance(result, dict):
        yield "No result: the training still runs, or was ended by an error or from outside."
    else:
        if result.get("interrupted"):
            yield "Interrupted; `dnnc train … --resume` goes on from the last checkpoint."
        if result.get("stopped"):
            yield f"Stopped after epoch {result.get('epochs')}: {result['stopped']}."
        if _whole(result, "restored_epoch") is not None:
            yield f"The weights are those of epoch {result['restored_epoch']} (restore=best)."
    if history.repeated:
        yield (
            f"{history.repeated} epochs were trained a second time after a resume; "
            "the later ones are shown."
        )
    if history.damaged:
        lines = ", ".join(map(str, history.damaged[:10]))
        more = "" if len(history.damaged) <= 10 else " …"
        yield f"log.jsonl is damaged; these lines were left out: {lines}{more}."
    bad = [r["epoch"] for r in history.records if _not_finite(r)]
    if bad:
        yield f"Figures that are not finite from epoch {bad[0]} on, in {len(bad)} epochs."


def _not_finite(record: Mapping[str, Any]) -> bool:
    parts = [record.get(split) for split in ("train", "valid")]
    values = [v for p in parts if isinstance(p, dict) for v in p.values()]
    return any(not isinstance(v, list) and not abs(number(v)) < float("inf") for v in values)


# Sections -----------------------------------------------------------------------------------------


def _figures(result: Any, training: Training, history: History) -> Section | None:
    """The result's figures or, without a result, those of the last epoch."""
    last: Any = result if isinstance(result, dict) else None
    heading = "Final figures"
    if last is None and history.records:
        last, heading = history.records[-1], f"Figures of epoch {history.epochs[-1]}"
    splits = {s: f for s in ("train", "valid", "test") if (f := figures_of(last, s))}
    if not splits:
        return None
    names = [n for n in training.metric_names if any(n in f for f in splits.values())]
    names = [n for n in names if not any(isinstance(f.get(n), list) for f in splits.values())]
    rows = [[s, *(shown(number(f.get(n)), 5) for n in names)] for s, f in splits.items()]
    epoch = _final_epoch(result)
    told = f"Of the weights after epoch {epoch}. " if epoch else ""
    if "train" in splits:
        over = f"epoch {epoch}" if epoch else "an epoch"
        told += f"The training figures are means over {over}, while the weights changed."
    note = paragraph(told, "note") if told else ""
    return Section(heading, table(["", *names], rows, range(1, len(names) + 1)) + note)


def _confusion(confusion: Confusion | None, manifest: Mapping[str, Any]) -> Section | None:
    if confusion is None:
        return None
    matrix = confusion.matrix
    names = [str(n) for n in manifest.get("classes", ())]
    if len(names) != len(matrix):
        names = [str(i) for i in range(len(matrix))]
    if len(names) <= MOST_CLASSES:
        return Section("Confusion", heat_table(f"Rows of {confusion.split}", names, matrix))
    wrong = [(matrix[i][j], i, j) for i in range(len(names)) for j in range(len(names)) if i != j]
    worst = sorted((w for w in wrong if w[0] > 0), key=lambda w: (-w[0], w[1:]))
    rows = [
        [names[i], names[j], shown(n, 6), shown(n / max(sum(matrix[i]), 1))]
        for n, i, j in worst[:MOST_MISTAKES]
    ]
    head = ["true", "predicted", "rows", "share of the true class"]
    caption = f"Commonest mistakes on {confusion.split}, of {len(names)} classes"
    return Section("Confusion", table(head, rows, (2, 3), caption))


def _layers(subject: Described) -> Section:
    model = subject.model
    head, *rows = table_rows(layer_rows(model))
    total = sum(p.type.count or 0 for p in model.params)
    trained = sum(p.type.count or 0 for p in model.params if p.trainable)
    counted = f"{total:,} parameters, {trained:,} of them trained, {total - trained:,} not."
    body = f'<figure class="model">{picture(model)}</figure>'
    body += f"{table(head, rows, (3,))}{paragraph(counted)}"
    return Section("Model", body, folded=len(rows) > MANY_LAYERS)


def _plan(subject: Described) -> Section:
    rows = plan_rows(subject.training, subject.data)
    body = table(["setting", "value", "options"], rows)
    if any(stage.freezing.told or stage.phase for stage in subject.training.stages):
        head, *layers = plan(subject.program, subject.training).rows()
        body += table(head, layers, (1,), "What happens to each layer")
    for line in _proofs(subject.manifest.get("result")):
        body += paragraph(line)
    return Section("Plan", body)


def _proofs(result: Any) -> Iterator[str]:
    """What was frozen and was found unchanged."""
    told = result.get("frozen") if isinstance(result, dict) else None
    for proof in told if isinstance(told, list) else ():
        where = f" in phase {proof['phase']}" if proof.get("phase") else ""
        for pattern, count in proof.get("unchanged", {}).items():
            yield f"{pattern}: {count} tensors were compared bit for bit, and are unchanged{where}."


def _warnings(warnings: Sequence[Diagnostic]) -> Section | None:
    if not warnings:
        return None
    rows = [[w.code, str(w.span.line) if w.span else "", w.message, w.help] for w in warnings]
    return Section("Warnings", table(["code", "line", "what", "a way out"], rows, (1,)))
