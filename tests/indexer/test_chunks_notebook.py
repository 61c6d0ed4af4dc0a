"""Notebooks: decoded sources, rows of the file itself, and nothing but the cells."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vicinal_indexer import notebook
from vicinal_indexer.chunks import chunk
from vicinal_indexer.types import Chunk

GOLDEN = (Path(__file__).parent / "goldens" / "notebook.ipynb").read_text("utf-8")


def written(cells: list[dict[str, object]], /, indent: int | None = 1, **metadata: object) -> str:
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}, indent=indent)


def code(source: str | list[str], **extra: object) -> dict[str, object]:
    lines = source.splitlines(keepends=True) if isinstance(source, str) else source
    return {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, **extra, "source": lines}


def check(raw: str) -> list[Chunk]:
    """The strings at a chunk's rows and bytes are its text."""
    chunks = chunk("p", raw, "notebook")
    rows = raw.split("\n")
    for c in chunks:
        assert 1 <= c.start_line <= c.end_line <= len(rows)
        span = raw.encode()[c.start_byte : c.end_byte].decode()
        assert span[0] == span[-1] == '"'
        assert c.start_line == raw.encode()[: c.start_byte].count(b"\n") + 1
        assert c.end_line == raw.encode()[: c.end_byte].count(b"\n") + 1
        decoded = "".join(json.loads(f"[{span}]"))
        assert c.text in decoded
    return chunks


def test_rows_are_those_of_the_file_and_text_is_decoded() -> None:
    rows = GOLDEN.split("\n")
    for c in check(GOLDEN):
        assert c.text.split("\n")[0] in json.loads(rows[c.start_line - 1].strip().rstrip(","))
        assert c.end_line - c.start_line == c.text.count("\n")
    assert "négative" in "".join(c.text for c in chunk("p", GOLDEN, "notebook"))


def test_cells_have_their_own_languages_and_outputs_are_left_out() -> None:
    chunks = chunk("p", GOLDEN, "notebook")
    assert [c.language for c in chunks] == ["markdown", "python", "python", "python", "markdown", "python", ""]
    assert not any("printed" in c.text or "execution_count" in c.text for c in chunks)
    assert "printed" not in (notebook.source_text(GOLDEN) or "")


def test_magics_break_nothing() -> None:
    body = "".join(f"    x{i} = {i}\n" for i in range(10))
    raw = written([code(f"%load_ext a\n!pip list | grep b\ndef f():\n{body}\n%%time\n?f\ndef g():\n{body}")])
    chunks = check(raw)
    assert [c.symbol for c in chunks] == ["f", "g"]
    assert chunks[0].text.startswith("%load_ext a\n!pip")


@pytest.mark.parametrize(
    ("metadata", "language"),
    [
        ({}, "python"),
        ({"kernelspec": {"language": "R"}}, "r"),
        ({"kernelspec": {"name": "x"}, "language_info": {"name": "julia"}}, "julia"),
        ({"kernelspec": {"language": "C++"}}, "cpp"),
        ({"kernelspec": {"language": "no such"}}, ""),
        ({"kernelspec": [], "language_info": {"name": 3}}, "python"),
    ],
)
def test_the_kernel_names_the_language(metadata: dict[str, object], language: str) -> None:
    assert [c.language for c in chunk("p", written([code("x = 1")], **metadata), "notebook")] == [language]


def test_compact_json_gives_every_line_the_row_of_its_string() -> None:
    raw = written([code("a = 1\nb = 2"), code(["c = 3\nd = 4\n", "e", " = 5"])], indent=None)
    chunks = check(raw)
    assert [(c.start_line, c.end_line, c.text) for c in chunks] == [
        (1, 1, "a = 1\nb = 2"),
        (1, 1, "c = 3\nd = 4\ne = 5"),
    ]


def test_a_source_that_is_one_string() -> None:
    cell = {"cell_type": "code", "source": "a = 1\nb = 2\n", "outputs": []}
    (only,) = check(written([cell]))
    assert only.text == "a = 1\nb = 2"
    assert only.start_line == only.end_line


def test_only_the_source_of_a_cell_is_its_source() -> None:
    decoy = {"source": "decoy", "cells": [{"source": ["decoy"]}], "cell_type": "decoy"}
    raw = written([code("x = 1", metadata=decoy, outputs=[decoy], attachments={"a": ["source"]})], cells=["decoy"])
    assert [c.text for c in check(raw)] == ["x = 1"]


@pytest.mark.parametrize(
    "raw", ["", "{", "[]", "3", '{"cells": 3}', '{"a": []}', "[" * 100_000, '{"cells": [}', '{"x":1}']
)
def test_what_is_no_notebook_falls_back_to_windows(raw: str) -> None:
    assert notebook.source_text(raw) is None
    assert "\n".join(c.text for c in chunk("p", raw, "notebook")) == raw


@pytest.mark.parametrize(
    "raw", ['{"cells": []}', '{"cells": [3, null, [], {}, {"source": 3}, {"source": [3, [], "a"]}]}']
)
def test_odd_cells_are_no_error(raw: str) -> None:
    assert notebook.source_text(raw) is not None
    check(raw)


CELLS = st.lists(
    st.fixed_dictionaries(
        {
            "cell_type": st.sampled_from(["code", "markdown", "raw", "odd"]),
            "source": st.one_of(st.text(), st.lists(st.text(st.characters(codec="utf-8")))),
            "outputs": st.just([{"text": ['"', "source\\"]}]),
        }
    ),
    max_size=4,
)


@given(cells=CELLS, indent=st.sampled_from([None, 0, 1]), ascii_only=st.booleans())
@settings(max_examples=150, deadline=None)
def test_every_source_is_decoded_and_every_line_is_in_one_chunk(
    cells: list[dict[str, object]], indent: int | None, ascii_only: bool
) -> None:
    raw = json.dumps({"cells": cells}, indent=indent, ensure_ascii=ascii_only)
    sources = ["".join(cell["source"]) for cell in cells if "".join(cell["source"]).strip()]  # type: ignore[arg-type]
    assert notebook.source_text(raw) == "\n".join(sources)
    found = notebook.cells(raw)
    assert found is not None
    assert all(len(cell.lines) == len(cell.source.split("\n")) for cell in found)
    lines = [line for c in check(raw) for line in c.text.split("\n") if line.strip()]
    assert lines == [line for source in sources for line in source.split("\n") if line.strip()]
