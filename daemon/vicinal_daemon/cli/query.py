"""`vicinal query "TEXT OR CODE"`: the code of a repository that tells most about a question.

Owns the command's arguments and how findings look on a terminal.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from vicinal_daemon.cli.remote import UseDaemon

if TYPE_CHECKING:
    from rich.console import Console

    from vicinal_daemon.client import Client
    from vicinal_daemon.config import Settings
    from vicinal_daemon.protocol import Finding, Findings, WrittenAnswer

_EXAMPLES = """
**Examples**

`vicinal query "how are timeouts configured and where are retries logged"` - evidence for both parts

`vicinal query "parse a date" --lang python --path "src/**" -k 3`

`pbpaste | vicinal query - --json` - code or text from standard input

`vicinal query "what happens when the disk is full" --answer` - and a short answer that cites it
"""
MAX_LINES = 24


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("query", epilog=_EXAMPLES)(query)


def query(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A question, words or code; - reads standard input.")],
    repo: Annotated[Path | None, typer.Option("--repo", help="The repository; default: the one around you.")] = None,
    count: Annotated[int, typer.Option("-k", "--count", min=1, max=100, help="How many findings.")] = 8,
    strategy: Annotated[str, typer.Option(help="sift: relevant and not redundant; nn: nearest neighbours.")] = "sift",
    languages: Annotated[list[str] | None, typer.Option("--lang", help="Only this language; repeatable.")] = None,
    paths: Annotated[
        list[str] | None, typer.Option("--path", help="Only paths that match this glob; repeatable.")
    ] = None,
    answer: Annotated[bool, typer.Option("--answer", help="Write a short answer from the findings.")] = False,
    model: Annotated[
        str | None, typer.Option(help="Writes the answer: a name, a hub id, a folder or GGUF file.")
    ] = None,
    fresh: Annotated[
        bool | None,
        typer.Option(
            "--sync/--no-sync",
            help="Look at all files first; or ask the index as it is. Default: look; a daemon, which keeps it fresh, "
            "only takes in what has changed.",
            show_default=False,
        ),
    ] = None,
    use_daemon: UseDaemon = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print docs/findings.schema.json's shape.")] = False,
) -> None:
    """Find the code that tells most about a question, without saying the same thing twice."""
    from vicinal_daemon.cli.indexes import load_settings, repository_or_here
    from vicinal_daemon.cli.remote import mode_of, reach
    from vicinal_indexer.errors import InputError
    from vicinal_indexer.languages import MAPPED

    text = sys.stdin.read() if text == "-" else text
    if not text.strip():
        raise InputError("the question is empty", hint='try: vicinal query "where are settings read"')
    if strategy not in ("sift", "nn"):
        raise InputError(f"there is no strategy {strategy}", hint="use sift or nn")
    unknown = sorted(set(languages or ()) - MAPPED)
    if unknown:
        raise InputError(f"no file is ever {', '.join(unknown)}", hint=f"known: {', '.join(sorted(MAPPED))}")
    root = repository_or_here(repo)
    settings = load_settings(root, {"model.name": model})
    asked = _Asked(text, count, cast(_Strategy, strategy), tuple(languages or ()), tuple(paths or ()), answer)
    daemon = reach(settings, mode_of(use_daemon))
    if daemon is None:
        findings = _here(root, settings, asked, sync=fresh is not False)
    else:
        with daemon:
            findings = _by_daemon(daemon, root, asked, fresh)
    if as_json:
        typer.echo(findings.model_dump_json(indent=2))
    else:
        _show(findings)


_Strategy = Literal["sift", "nn"]


@dataclass(frozen=True, slots=True)
class _Asked:
    text: str
    count: int
    strategy: _Strategy
    languages: tuple[str, ...]
    paths: tuple[str, ...]
    answer: bool


def _by_daemon(client: "Client", root: Path, asked: _Asked, fresh: bool | None) -> "Findings":
    from vicinal_daemon.cli.progress import stages
    from vicinal_daemon.cli.remote import CLIENT, shown_by, well_formed
    from vicinal_daemon.protocol.requests import IndexRequest, QueryRequest

    workspace = str(root.resolve())
    with well_formed():
        request = QueryRequest(
            workspace=workspace,
            text=asked.text,
            count=asked.count,
            strategy=asked.strategy,
            languages=list(asked.languages),
            paths=list(asked.paths),
            answer=asked.answer,
            wait_for_index=fresh is None,
            client=CLIENT,
        )
    with stages() as on_stage:
        if fresh:
            client.index(IndexRequest(root=workspace), shown_by(on_stage))
        return client.query(request, shown_by(on_stage))


def _here(root: Path, settings: "Settings", asked: _Asked, *, sync: bool) -> "Findings":
    from vicinal_daemon.cli.indexes import open_index, shown_by
    from vicinal_daemon.cli.progress import stages
    from vicinal_daemon.models import resolve
    from vicinal_daemon.query import query as run
    from vicinal_daemon.stages import Stopwatch
    from vicinal_indexer.types import Filter

    model = settings.model
    files = resolve(model.name, model.cache_dir) if asked.answer else None  # fail before the work
    watch = Stopwatch()
    with stages() as on_stage, open_index(root, settings) as index:
        if sync:
            with watch.stage("index"):
                index.sync(shown_by(on_stage))
        on_stage("candidates", 0, 0)
        with watch.stage("query"):
            findings = run(
                asked.text,
                index,
                settings,
                count=asked.count,
                strategy=asked.strategy,
                wanted=Filter(asked.languages, asked.paths),
            )
        if files is not None and findings.findings:
            from vicinal_daemon.answer import write_answer
            from vicinal_daemon.cli.workbench import open_engine

            on_stage("load", 0, 0)
            with watch.stage("load"):
                engine = open_engine(files, settings)
            on_stage("answer", 0, 0)
            with watch.stage("answer"):
                findings = findings.model_copy(update={"answer": write_answer(findings, engine)})
    seconds = {name: round(value, 4) for name, value in watch.seconds.items()}
    return findings.model_copy(update={"seconds": seconds})


def _show(findings: "Findings") -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if not findings.findings:
        console.print("nothing was found; `vicinal status` tells what is indexed", style="yellow")
        return
    if findings.answer is not None:
        _show_answer(console, findings.answer, thin=findings.thin)
    for number, finding in enumerate(findings.findings, start=1):
        _show_finding(console, number, finding)
    verdict = "[yellow]thin evidence: do not rely on it[/]   " if findings.thin else ""
    console.print(
        f"{verdict}the findings cover [bold]{findings.explained:.0%}[/] of the question, "
        f"this repository could cover {findings.coverable:.0%}   "
        f"[dim]sigma {findings.sigma_0:.2f} -> {findings.sigma_n:.2f}, irreducible {findings.sigma_inf:.2f}[/]"
    )
    if findings.unknown_words:
        console.print(f"no candidate says: {', '.join(findings.unknown_words)}", style="yellow", markup=False)
    times = "  ".join(f"{name} {value:.2f} s" for name, value in findings.seconds.items())
    console.print(
        f"{findings.candidates} candidates, strategy {findings.strategy}   {times}", style="dim", markup=False
    )


def _show_finding(console: "Console", number: int, finding: "Finding") -> None:
    from rich.syntax import Syntax

    place = f"{finding.path}:{finding.start_line}"
    title = f"{number}  {place}" + (f"  {finding.symbol}" if finding.symbol else "")
    console.print(f"\n{title}  {finding.share:.0%}", style="bold", markup=False, soft_wrap=True)
    lines = finding.text.split("\n")
    shown = "\n".join(lines[:MAX_LINES])
    console.print(
        Syntax(shown, finding.language or "text", line_numbers=True, start_line=finding.start_line, theme="ansi_dark")
    )
    if len(lines) > MAX_LINES:
        console.print(f"... {len(lines) - MAX_LINES} more lines", style="dim")


def _show_answer(console: "Console", answer: "WrittenAnswer", *, thin: bool) -> None:
    from rich.panel import Panel
    from rich.text import Text

    body = Text()
    for sentence in answer.sentences:
        marks = "".join(f"[{number}]" for number in sentence.cites) or "(no finding bears this out)"
        body.append(sentence.text + " ", style="" if sentence.cites else "dim")
        body.append(marks + "\n", style="cyan" if sentence.cites else "yellow")
    if not answer.sentences:
        body.append("the model wrote nothing")
    title = f"{answer.model} says" + (", on thin evidence" if thin else "")
    console.print(Panel(body, title=title, title_align="left", border_style="yellow" if thin else "green"))
