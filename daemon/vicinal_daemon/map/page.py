"""The map as a page: one file that loads nothing, for eyes, keyboards and screen readers.

Owns the markup. Its style and its script lie beside this file. Names of files are data: they are escaped, and the page
forbids every script but its own.
"""

import base64
import hashlib
import json
import shlex
from collections.abc import Iterator
from html import escape
from pathlib import Path

from vicinal_daemon.map.scale import VIRIDIS, WORDING, colour_of, hexadecimal, ink_on
from vicinal_daemon.map.survey import Measure, MeasuredFile, Survey, overall, value_at
from vicinal_daemon.map.treemap import Box, Folder, nest, squarify

MOST_FILES = 4000
"""More are not drawn: a browser becomes slow, and they are specks. The largest are kept."""

NOMINAL = Box(0, 0, 1100, 700)
"""The size that the layout is made for, in pixels; a browser stretches it."""

HEADER, PADDING = 20, 3
"""Of a folder, in pixels, as in page.css."""

_HERE = Path(__file__).parent


def page(survey: Survey, measure: Measure = "irreducible") -> str:
    """The page, coloured by `measure` when it is opened."""
    largest = sorted(survey.files, key=lambda file: (-file.lines, file.path))[:MOST_FILES]
    tree = nest(largest, printable(survey.name))
    files = list(tree.files())
    numbers = {file.path: number for number, file in enumerate(files)}
    script = (_HERE / "page.js").read_text("utf-8")
    name = escape(printable(survey.name))
    parts = {
        "title": f"{name} - vicinal map",
        "script-hash": "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "style": (_HERE / "page.css").read_text("utf-8"),
        "name": name,
        "sums": escape(_sums(survey)),
        "measure-radios": "".join(_radio(each, checked=each == measure) for each in survey.measures),
        "legends": "\n".join(map(_legend, survey.measures)),
        "tiles": _folder(tree, Box(0, 0, NOMINAL.width, NOMINAL.height), NOMINAL, survey.measures, numbers),
        "heads": _heads(survey.measures),
        "rows": "\n".join(_row(file, number, survey.measures) for number, file in enumerate(files)),
        "details": _overview(survey),
        "explained": "".join(
            f"<dt>{WORDING[each].name}</dt><dd>{escape(WORDING[each].explained)}</dd>" for each in survey.measures
        ),
        "method": escape(_method(survey)),
        "not-drawn": escape(_not_drawn(survey, len(files))),
        "data": _data(files, survey.measures),
        "script": script,
    }
    return "".join(_filled((_HERE / "page.html").read_text("utf-8"), parts))


def printable(name: str) -> str:
    """A name with everything that cannot be seen written out: control characters, marks that turn the direction."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def _filled(template: str, parts: dict[str, str]) -> Iterator[str]:
    """The template with its marks replaced, each once: what is filled in is never looked at again."""
    text, *marked = template.split("{{")
    yield text
    for piece in marked:
        name, _, text = piece.partition("}}")
        yield parts[name]
        yield text


def _folder(folder: Folder, box: Box, around: Box, measures: tuple[Measure, ...], numbers: dict[str, int]) -> str:
    """A folder at `box` of the space `around`, in percent of it; what it holds is placed in the same way."""
    inner = box.inside(PADDING, HEADER)
    space = Box(0, 0, inner.width, inner.height) if inner.area else Box(0, 0, 1, 1)
    boxes = squarify([entry.lines for entry in folder.entries], space) if folder.entries else []
    held = [
        _folder(entry, at, space, measures, numbers)
        if isinstance(entry, Folder)
        else _tile(entry, at, space, measures, numbers)
        for entry, at in zip(folder.entries, boxes, strict=True)
    ]
    name = escape(printable(folder.name))
    return (
        f'<div class="folder" role="group" aria-label="{name}, {folder.lines:,} lines" data-name="{name}" '
        f'style="{_placed(box, around)}"><button type="button" class="name" title="{name}">{name}'
        f'<small>{folder.lines:,} lines</small></button><div class="inner">{"".join(held)}</div></div>\n'
    )


def _tile(file: MeasuredFile, box: Box, around: Box, measures: tuple[Measure, ...], numbers: dict[str, int]) -> str:
    colours, shown = "", ""
    for measure in measures:
        value = file.value(measure)
        if value is not None:
            colour, key = colour_of(value, measure), measure[0]
            colours += f";--{key}:{hexadecimal(colour)};--{key}-ink:{hexadecimal(ink_on(colour))}"
            shown += f'<b class="{key}">{value:.2f}</b>'
    name = escape(printable(file.path.rpartition("/")[2]))
    label = escape(f"{printable(file.path)}, {_about(file)}")
    return (
        f'<button type="button" class="tile" data-n="{numbers[file.path]}" aria-label="{label}" '
        f'style="{_placed(box, around)}{colours}"><span>{name}</span>{shown}</button>\n'
    )


def _placed(box: Box, around: Box) -> str:
    left, top = 100 * box.x / around.width, 100 * box.y / around.height
    return (
        f"left:{left:.3f}%;top:{top:.3f}%;width:{100 * box.width / around.width:.3f}%;"
        f"height:{100 * box.height / around.height:.3f}%"
    )


def _radio(measure: Measure, *, checked: bool) -> str:
    mark = " checked" if checked else ""
    name = WORDING[measure].name
    return f'<label><input type="radio" name="measure" value="{measure}"{mark}><span>{name}</span></label>'


def _legend(measure: Measure) -> str:
    wording = WORDING[measure]
    ramp = ", ".join(map(hexadecimal, VIRIDIS))
    ticks = [wording.unknown + (wording.known - wording.unknown) * part / 4 for part in range(5)]
    marks = "".join(f"<span>{tick:.2g}</span>" for tick in ticks)
    return (
        f'<div class="legend {measure}"><span class="ramp"><span class="end">{wording.low}</span>'
        f'<span class="colours" style="background:linear-gradient(90deg, {ramp})"></span>'
        f'<span class="end">{wording.high}</span><span class="ticks">{marks}</span></span>'
        '<span class="none"><i></i>not measured</span></div>'
    )


def _heads(measures: tuple[Measure, ...]) -> str:
    columns = [("File", "", "ascending"), ("Language", "", "ascending"), ("Lines", "number", "descending")]
    columns += [
        (WORDING[m].name, "number", "ascending" if WORDING[m].known > WORDING[m].unknown else "descending")
        for m in measures
    ]
    return "".join(
        f'<th scope="col" class="{kind}" data-first="{first}"><button type="button">{name}</button></th>'
        for name, kind, first in columns
    )


def _row(file: MeasuredFile, number: int, measures: tuple[Measure, ...]) -> str:
    cells = "".join(
        f'<td class="number" data-v="{"" if value is None else round(value, 6)}">'
        f"{'–' if value is None else f'{value:.2f}'}</td>"
        for value in map(file.value, measures)
    )
    return (
        f'<tr data-n="{number}"><td class="path"><i class="swatch"></i>{escape(printable(file.path))}</td>'
        f'<td>{escape(file.language)}</td><td class="number" data-v="{file.lines}">{file.lines:,}</td>{cells}</tr>'
    )


def _overview(survey: Survey) -> str:
    """What is told while no file is pointed at."""
    numbers = "".join(
        f"<dt>{WORDING[measure].name}</dt><dd>{value:.2f}</dd>"
        for measure in survey.measures
        if (value := overall(survey.files, measure)) is not None
    )
    return (
        f'<h2 class="path">{escape(printable(survey.name))}</h2><p class="of">mean over files, by lines</p>'
        f'<dl>{numbers}</dl><p class="try">Bright is known, dark is not. Point at a file, or go to it with the arrow '
        "keys, to see its least known places. A folder's name opens it; Escape leaves it.</p>"
    )


def _about(file: MeasuredFile) -> str:
    lines = f"{file.lines:,} line{'s' * (file.lines != 1)}"
    count = len(file.places)
    places = f"{count} place{'s' * (count != 1)} measured" if count else "not measured"
    return ", ".join(filter(None, (file.language, lines, places)))


def _sums(survey: Survey) -> str:
    return (
        f"{len(survey.files):,} files · {survey.lines:,} lines of code · "
        f"{survey.places:,} places measured · seed {survey.seed}"
    )


def _method(survey: Survey) -> str:
    told = (
        "The area of a file is its number of lines that are not blank. In each file a seed chooses a few places, "
        f"spread over its length. At a place {survey.hidden_lines} lines are hidden, the lines before them are the "
        f"question, and up to {survey.candidates} pieces of code are looked up, as a completion there would do it: "
        "nothing of what is hidden or near to it is among them. A file's number is the mean over its places; with few "
        "places it is a hint, not a verdict. Where the lines before hold no words (tables of numbers) nothing can be "
        "asked, and nothing counts as known. The two uncertainties are of the code that can be found, and ask no "
        "language model."
    )
    if survey.model:
        told += f" The bits are those of {survey.model} with {survey.prompt_picks} picks in its prompt, untuned."
    return told


def _not_drawn(survey: Survey, drawn: int) -> str:
    told = []
    if survey.left_out:
        told.append(f"{survey.left_out:,} files of prose or data are left out (--all draws them).")
    if drawn < len(survey.files):
        told.append(f"The {len(survey.files) - drawn:,} smallest files are not drawn; --json has them.")
    return " ".join(told)


def _data(files: list[MeasuredFile], measures: tuple[Measure, ...]) -> str:
    """What the script needs, as JSON that cannot end its element."""
    found = {
        "measures": [
            {
                "id": measure,
                "name": WORDING[measure].name,
                "short": WORDING[measure].short,
                "sign": 1 if WORDING[measure].unknown > WORDING[measure].known else -1,
            }
            for measure in measures
        ],
        "files": [_file_data(file, measures) for file in files],
    }
    text = json.dumps(found, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _file_data(file: MeasuredFile, measures: tuple[Measure, ...]) -> dict[str, object]:
    values = [file.value(measure) for measure in measures]
    return {
        "path": printable(file.path),
        "about": _about(file),
        "values": [None if value is None else round(value, 4) for value in values],
        "colours": [
            None if value is None else hexadecimal(colour_of(value, measure))
            for value, measure in zip(values, measures, strict=True)
        ],
        "places": [
            {
                "line": place.line,
                "values": [
                    None if (value := value_at(place, measure)) is None else round(value, 4) for measure in measures
                ],
                "nearest": printable(place.nearest) or "nothing",
                "ask": _command(file.path, place.line),
            }
            for place in file.places
        ],
    }


def _command(path: str, line: int) -> str:
    """What a person may paste into a shell, whatever the file is called."""
    place = f"{'./' if path.startswith('-') else ''}{path}:{line}"
    return f"vicinal complete {shlex.quote(place)} --explain"
