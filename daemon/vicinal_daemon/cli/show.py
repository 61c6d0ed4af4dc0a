"""How an answer looks on a terminal.

Owns layout and colour. It is given an `Answer` and knows nothing else.
"""

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from vicinal_daemon.protocol import Answer

if TYPE_CHECKING:
    from vicinal_daemon.evaluate.trial import Trial

_BARS = "▁▂▃▄▅▆▇█"
CURVE_ROWS = 5


def show_answer(answer: Answer, *, explain: bool) -> None:
    """Print completion, base, confidence, evidence and times; with `explain`, how it came about."""
    console = Console(highlight=False)
    console.print(f"[bold]{escape(answer.path)}:{answer.line}:{answer.column}[/]  [dim]{escape(answer.repository)}[/]")
    console.print(_side_by_side(answer))
    console.print(_adaptation(answer))
    console.print(_confidence(answer))
    console.print(_evidence(answer))
    if explain:
        console.print(_explanation(answer))
    console.print(_times(answer))


def _side_by_side(answer: Answer) -> RenderableType:
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(ratio=1)
    grid.add_column(ratio=1)
    title = "with what it studied" if answer.evidence else "completion"
    panels = [Panel(_code(answer.completion.text), title=title, border_style="green", title_align="left")]
    if answer.base is not None:
        base = "base model, this file only"
        panels.append(Panel(_code(answer.base.text), title=base, border_style="dim", title_align="left"))
    grid.add_row(*panels)
    if answer.present.strip():
        present = Panel(_code(answer.present), title="in the file now", border_style="dim", title_align="left")
        return Group(grid, present)
    return grid


def _code(text: str) -> Text:
    return Text(text) if text.strip() else Text("(nothing)", style="dim italic")


def _confidence(answer: Answer) -> str:
    c = answer.confidence
    return (
        f"[bold]{c.value:.0%}[/] sure that this is right{_corrected(c.feedbacks)}   "
        f"sigma {c.sigma_0:.2f} -> {c.sigma_n:.2f}, irreducible {c.sigma_inf:.2f}   "
        f"tokens {c.token_probability:.2f}, least {c.least_probability:.2f}"
    )


def _corrected(feedbacks: int) -> str:
    return f" (corrected by {feedbacks} judgement{'' if feedbacks == 1 else 's'} here)" if feedbacks else ""


def _adaptation(answer: Answer) -> Text:
    a = answer.adaptation
    line = Text(a.kind, "bold" if a.kind != "base" else "bold dim")
    line.append(": " + _kind_in_words(answer))
    if answer.typed_ahead:
        line.append("; typed ahead, the rest of the last answer")
    if a.behind:
        line.append("; tuning goes on behind, for the next answer", "cyan")
    return line


def _kind_in_words(answer: Answer) -> str:
    a = answer.adaptation
    steps = f"{a.steps} step" + ("" if a.steps == 1 else "s")
    if a.scale == 0 and a.steps:
        return f"the guard dropped what {steps} had taught"
    match a.kind:
        case "fresh":
            return f"tuned for this request, {steps}" if a.steps else f"nothing was tuned{_not_worth(answer)}"
        case "cached":
            near = "this selection" if a.nearness == 1 else f"a selection near to this one ({a.nearness:.0%} shared)"
            return f"tuned before, {steps} on {near}"
        case "warm":
            return f"the repository's own adapter, {steps}"
        case "base":
            return f"no adapter{_not_worth(answer)}"


def _not_worth(answer: Answer) -> str:
    told = answer.adaptation.forecast
    harm = told is not None and told.tuning <= 0
    return ": it was not expected to help here" if harm else ""


def _evidence(answer: Answer) -> RenderableType:
    if not answer.evidence:
        return Text("learned from nothing: no pick was made", style="dim")
    table = Table(title="learned from", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("share", justify="right")
    table.add_column("steps", justify="right")
    table.add_column("prompt")
    table.add_column("where", overflow="fold")
    for piece in answer.evidence:
        where = f"{escape(piece.path)}:{piece.start_line}-{piece.end_line}"
        symbol = f"  [dim]{escape(piece.symbol)}[/]" if piece.symbol else ""
        table.add_row(
            f"{piece.share:.0%}",
            str(piece.steps) if piece.steps else "-",
            "yes" if piece.in_prompt else "",
            where + symbol,
        )
    return table


def _explanation(answer: Answer) -> RenderableType:
    c, a = answer.confidence, answer.adaptation
    lines: list[RenderableType] = [Text(f"why it is not surer: {reason.text}", "yellow") for reason in c.reasons]
    lines += [
        uncertainty_curve(c.curve, c.sigma_inf),
        f"{c.explained:.0%} of the variance at the prompt is explained by the picks; "
        f"no code of this repo can take sigma below {c.sigma_inf:.2f}",
        f"tokens: on average {c.token_probability:.2f}, the least sure {c.least_probability:.2f}: "
        f"{escape(repr(c.least_token))}; entropy at the first {c.first_entropy:.2f} nats",
        f"{answer.candidates} candidates, the nearest one is {c.similarity:.2f} alike; "
        f"strategy {a.strategy}, {a.steps} steps, adaptation {a.kind}",
    ]
    if a.forecast is not None:
        f = a.forecast
        lines.append(
            f"expected gain in bits per byte: code in the prompt {f.prompt:+.3f}{'' if f.shows else ' (not shown)'}, "
            f"tuning {f.tuning:+.3f} ({f.steps} steps worth their time)"
        )
    if a.losses:
        lines.append("loss on each example before its step  " + " ".join(f"{value:.2f}" for value in a.losses))
    if a.guard is not None:
        verdict = {1.0: "kept whole", 0.5: "halved"}.get(a.scale, "dropped")
        lines.append(
            f"guard, loss on the visible context: base {a.guard.base:.3f}, half {a.guard.half:.3f}, "
            f"full {a.guard.full:.3f} -> the adapter was {verdict}"
        )
    return Panel(Group(*lines), title="why", title_align="left", border_style="dim")


def uncertainty_curve(curve: Sequence[float], irreducible: float, height: int = CURVE_ROWS) -> Text:
    """sigma after each pick as bars, with sigma_inf as a line that no bar can go below.

    Args:
        curve: sigma_0 .. sigma_n.
        irreducible: sigma_inf.
    """
    top = max(*curve, irreducible, 1e-9)
    drawn = Text("uncertainty after each pick\n")
    floor = min(height - 1, int(irreducible / top * height))
    for row in range(height - 1, -1, -1):
        mark = curve[0] if row == height - 1 else irreducible if row == floor else None
        drawn.append(f"{mark:5.2f} " if mark is not None else " " * 6, "dim")
        for sigma in curve:
            filled = sigma / top * height - row
            bar = " " if filled <= 0 else _BARS[min(7, max(0, round(8 * filled) - 1))]
            drawn.append(bar * 2 + " " if bar != " " or row != floor else "── ", "cyan" if bar != " " else "dim")
        drawn.append("── no code of this repository takes it lower\n" if row == floor else "\n", "dim")
    drawn.append(" " * 6 + "".join(f"{pick:<3d}" for pick in range(len(curve))) + "picks", "dim")
    return drawn


def _times(answer: Answer) -> str:
    stages = "  ".join(f"{name} {seconds:.2f} s" for name, seconds in answer.seconds.items() if seconds >= 0.005)
    skipped = f"   {answer.skipped_files} files skipped" if answer.skipped_files else ""
    return f"[dim]{stages}   {escape(answer.model)} on {answer.device}{skipped}[/]"


def show_trial(console: Console, trial: "Trial", number: int, total: int) -> None:
    """Print one hidden line, what stood before it and what the two models made of it."""
    console.print(f"\n[bold]{number}/{total}  {escape(trial.path)}:{trial.line}[/]")
    console.print(Text(trial.before, style="dim"))
    grid = Table.grid(padding=(0, 2))
    grid.add_row("truth", _code(trial.truth))
    grid.add_row("base", _code(trial.base), f"{trial.base_bits:.2f} bits/byte")
    grid.add_row("after studying", _code(trial.tuned), f"[bold]{trial.tuned_bits:.2f}[/] bits/byte")
    console.print(grid)
    kept = f"{trial.scale:.0%} of the adapter kept" if trial.scale else "the adapter was dropped"
    console.print(
        f"[dim]{trial.steps} steps, {kept}; in the prompt: {escape(', '.join(trial.studied) or 'nothing')}[/]"
    )


def show_trials(console: Console, trials: "Sequence[Trial]", root: str) -> None:
    """Print the sum over all places."""
    before, after = fmean(t.base_bits for t in trials), fmean(t.tuned_bits for t in trials)
    better = sum(t.tuned_bits < t.base_bits for t in trials)
    exact_before = sum(t.base.strip() == t.truth.strip() for t in trials)
    exact_after = sum(t.tuned.strip() == t.truth.strip() for t in trials)
    console.print(
        f"\n[bold]{len(trials)} places of {escape(root)}, chosen by seed[/]\n"
        f"bits per byte of the hidden line: {before:.3f} -> [bold]{after:.3f}[/] ({after / before:.0%} of the base); "
        f"better at {better} of {len(trials)}\n"
        f"exactly right: {exact_before} -> {exact_after}"
    )
