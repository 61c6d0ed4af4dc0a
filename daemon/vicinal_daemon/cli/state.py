"""How the daemon's state looks on a terminal.

Owns layout, colour and how sizes and times are spoken. It is given a `DaemonState` and knows nothing else.
"""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vicinal_daemon.protocol.state import DaemonState, ModelState, QueueState, RecentAnswer, Trouble, WorkspaceState

ANSWERS = 6
STAGES_SHOWN = 3
"""Of the stages of an answer, the longest ones."""

_BAR = 16
_PATH = 36
_COLOURS = {
    "ready": "green",
    "indexing": "cyan",
    "opening": "cyan",
    "loading": "cyan",
    "paused": "yellow",
    "gone": "yellow",
    "failed": "bold red",
    "fresh": "green",
    "cached": "green",
    "warm": "cyan",
}
_PARTS = ("read", "write", "total")
"""Not stages of their own: parts of `generate`, and the sum."""


def view(state: DaemonState, now: float) -> RenderableType:
    """The whole state, in at most 100 columns. `now`: seconds since the epoch."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column()
    facts.add_row("daemon", _daemon(state, now))
    facts.add_row("model", _model(state.model))
    facts.add_row("queue", _queue(state.queue))
    facts.add_row("adapters", f"{state.adapters:,}, {size(state.adapter_bytes)}")
    parts: list[RenderableType] = [facts, *(line for trouble in state.problems for line in _problem(trouble)), Text()]
    parts.append(workspaces_view(state.workspaces))
    if state.answers:
        parts += [Text(), _answers(state.answers[:ANSWERS], now)]
    return Group(*parts)


def size(count: int) -> str:
    """Bytes, for people."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"


def span(seconds: float) -> str:
    """How long, for people: one unit, two for hours."""
    if seconds < 60:
        return f"{max(0.0, seconds):.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"
    return f"{seconds // 86_400:.0f} days"


def home(path: str) -> str:
    """A path, with ~ for the user's home."""
    own = str(Path.home())
    return "~" + path[len(own) :] if path == own or path.startswith(own + "/") else path


def tail(text: str, length: int) -> str:
    """The end of a path, which tells most."""
    return text if len(text) <= length else "…" + text[1 - length :]


def _daemon(state: DaemonState, now: float) -> Text:
    return Text(
        f"running for {span(now - state.started)}   process {state.pid}   {size(state.memory_bytes)}   "
        f"Vicinal {state.vicinal}"
    )


def _model(model: ModelState) -> RenderableType:
    line = Text(f"{tail(home(model.name), _PATH)}: ")
    line.append(model.state, _COLOURS.get(model.state, ""))
    line.append(f" on {model.device} in {model.precision} ({model.engine})" if model.device else f" ({model.engine})")
    if model.restarts:
        line.append(
            f", started again {model.restarts} times" if model.restarts > 1 else ", started again once", "yellow"
        )
    if model.seconds_per_step is not None:
        line.append(f"   {model.seconds_per_step:.2f} s a step", "dim")
    if model.seconds_per_token is not None:
        line.append(f"   {1000 * model.seconds_per_token:.0f} ms a token", "dim")
    lines = [line]
    if model.memory_bytes:
        memory = Text("memory ")
        if model.memory_limit_bytes:
            memory.append_text(_bar(model.memory_bytes, model.memory_limit_bytes))
            memory.append(f" {size(model.memory_bytes)} of {size(model.memory_limit_bytes)}")
        else:
            memory.append(size(model.memory_bytes))
        lines.append(memory)
    return Group(*lines, *_problem(model.problem))


def _queue(queue: QueueState) -> Text:
    waiting = ", ".join(f"{count} {name}" for name, count in queue.waiting.items() if count)
    line = Text(f"{waiting} waiting" if waiting else "nothing waits")
    if queue.running:
        line.append(f"   at work: {queue.running}", "cyan")
    if queue.requests:
        line.append(f"   {queue.requests} being answered")
    return line


def workspaces_view(workspaces: Sequence[WorkspaceState]) -> RenderableType:
    """The open repositories, a line each."""
    if not workspaces:
        return Text("no repository is open; the first request opens one", style="dim")
    table = Table.grid(padding=(0, 2))
    for _ in range(4):
        table.add_column(no_wrap=True)
    for workspace in workspaces:
        word = Text(workspace.state, _COLOURS.get(workspace.state, ""))
        if workspace.state == "indexing" and workspace.total:
            held = _bar(workspace.done, workspace.total)
            held.append(f" {workspace.done:,} of {workspace.total:,}")
        else:
            held = Text(f"{workspace.files:,} files, {workspace.chunks:,} chunks")
        table.add_row(word, tail(home(workspace.root), _PATH), held, size(workspace.bytes_on_disk))
        if workspace.remembered:
            table.add_row("", Text(f"remembered: {workspace.remembered:,} tokens", "dim"))
        if workspace.warm:
            table.add_row("", Text(f"warm adapter: {workspace.warm}", "dim", overflow="ellipsis"))
        for line in _problem(workspace.problem):
            table.add_row("", line)
    return table


def _answers(answers: Sequence[RecentAnswer], now: float) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, justify="right", style="dim")
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column()  # the one that gives way where the terminal is narrow
    for answer in answers:
        kind = Text("typed ahead") if answer.typed_ahead else Text(answer.kind, _COLOURS.get(answer.kind, ""))
        if answer.kind == "fresh" and not answer.typed_ahead:
            kind.append(f", {answer.steps} steps")
        table.add_row(
            f"{span(now - answer.at)} ago",
            tail(f"{answer.path}:{answer.line}", _PATH),
            kind,
            f"{answer.seconds.get('total', 0.0):.2f} s",
            Text(_longest(answer.seconds), "dim", no_wrap=True, overflow="ellipsis"),
        )
    return table


def _longest(seconds: dict[str, float]) -> str:
    stages = sorted(((took, name) for name, took in seconds.items() if name not in _PARTS), reverse=True)
    return "  ".join(f"{name} {took:.2f}" for took, name in stages[:STAGES_SHOWN] if took >= 0.005)


def _bar(done: int, total: int) -> Text:
    filled = min(_BAR, round(_BAR * done / total))
    return Text.assemble(("━" * filled, "green" if done <= 0.9 * total else "yellow"), ("━" * (_BAR - filled), "dim"))


def _problem(problem: Trouble | None) -> list[Text]:
    if problem is None:
        return []
    return [Text(f"{problem.message}; {problem.hint}" if problem.hint else problem.message, "yellow", no_wrap=False)]
