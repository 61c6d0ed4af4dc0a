"""Positions: the fast way against a slow one by encoding, and documents against a model of a client's."""

import random
import re
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from vicinal_lsp.convert import (
    Encoding,
    apply_change,
    characters,
    daemon_place,
    offset_at,
    path_of,
    position_at,
    pure_path_of,
    split_lines,
    units,
    uri_of,
)
from vicinal_lsp.texts import Document, Documents

ENCODINGS: tuple[Encoding, ...] = ("utf-8", "utf-16", "utf-32")
SIZES = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}

# Line ends of all kinds, what only Python takes for one, and characters of every width; also halves of pairs.
TEXTS = st.text(st.sampled_from("ab \t\n\r\x0c\x1c\x85\u2028éß漢😋𝒳\ud83d\ude00"), max_size=40)
encodings = st.sampled_from(ENCODINGS)


def slow_units(text: str, encoding: Encoding) -> int:
    codec, size = SIZES[encoding]
    return sum(len(character.encode(codec, "surrogatepass")) // size for character in text)


def slow_lines(text: str) -> list[str]:
    parts = re.split(r"(\r\n|\r|\n)", text)
    return [row + end for row, end in zip(parts[::2], [*parts[1::2], ""], strict=True)]


def slow_offset(text: str, line: int, character: int, encoding: Encoding) -> int:
    lines = slow_lines(text)
    if line >= len(lines):
        return len(text)
    row = lines[line].rstrip("\r\n")
    fitting = [length for length in range(len(row) + 1) if slow_units(row[:length], encoding) <= character]
    return sum(map(len, lines[:line])) + max(fitting)


@given(TEXTS)
def test_lines_end_where_the_protocol_says(text: str) -> None:
    assert split_lines(text) == slow_lines(text)


@given(TEXTS, encodings)
def test_units_are_those_of_the_encoding(text: str, encoding: Encoding) -> None:
    whole = text.replace("\ud83d\ude00", "")  # two halves side by side are one character to the encoder
    assert units(whole, encoding) == slow_units(whole, encoding)


@given(TEXTS, st.integers(-1, 8), st.integers(0, 60), encodings)
def test_an_offset_is_where_a_slow_count_finds_it(text: str, line: int, character: int, encoding: Encoding) -> None:
    assert offset_at(text, line, character, encoding) == slow_offset(text, max(0, line), character, encoding)


@given(TEXTS, st.data(), encodings)
def test_every_offset_outside_a_line_end_comes_back(text: str, data: st.DataObject, encoding: Encoding) -> None:
    offset = data.draw(st.integers(0, len(text)))
    line, character = position_at(text, offset, encoding)
    inside = text[max(0, offset - 1) : offset + 1] == "\r\n"
    assert offset_at(text, line, character, encoding) == offset - inside


@given(TEXTS, st.integers(-3, 80), encodings)
def test_characters_and_units_agree(text: str, count: int, encoding: Encoding) -> None:
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    fitting = characters(text, count, encoding)
    assert units(text[:fitting], encoding) <= max(0, count)
    assert fitting == len(text) or units(text[: fitting + 1], encoding) > count


@given(TEXTS, TEXTS, st.tuples(*[st.integers(0, 9)] * 4), encodings)
def test_a_change_replaces_what_stands_between(
    text: str, new: str, at: tuple[int, int, int, int], encoding: Encoding
) -> None:
    offsets = sorted((slow_offset(text, at[0], at[1], encoding), slow_offset(text, at[2], at[3], encoding)))
    spliced = list(text)
    spliced[slice(*offsets)] = new
    assert apply_change(text, at[:2], at[2:], new, encoding) == "".join(spliced)


@given(TEXTS, st.data())
def test_the_daemon_can_cut_at_every_place(text: str, data: st.DataObject) -> None:
    from vicinal_daemon.target import cut

    offset = data.draw(st.integers(0, len(text)))
    line, column = daemon_place(text, offset)
    left = cut("a.py", text, line, column, 1).left
    behind = text[: offset + 1]
    between = offset > 0 and text[offset - 1] == "\r" and (offset == len(text) or behind.endswith("\r\n"))
    assert left == text[: offset - between]


def test_a_position_in_a_pair_or_beyond_a_line() -> None:
    text = "a😋b\r\nc"
    assert [offset_at(text, 0, character, "utf-16") for character in range(7)] == [0, 1, 1, 2, 3, 3, 3]
    assert [offset_at(text, 0, character, "utf-8") for character in range(7)] == [0, 1, 1, 1, 1, 2, 3]
    assert offset_at(text, 1, 99, "utf-16") == offset_at(text, 7, 0, "utf-16") == len(text)
    assert offset_at(text, 2**31 - 1, 2**31 - 1, "utf-16") == len(text)
    assert position_at(text, 4, "utf-16") == (0, 4)


def test_a_megabyte() -> None:
    text = "x = '😋'\n" * 125_000
    offset = offset_at(text, 100_000, 7, "utf-16")
    assert offset == 800_006
    assert position_at(text, offset, "utf-16") == (100_000, 7)
    one_line = "é" * 1_000_000
    assert offset_at(one_line, 0, 1_500_001, "utf-8") == 750_000


class TestUris:
    @given(st.lists(st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1), max_size=4))
    def test_a_path_comes_back(self, parts: list[str]) -> None:
        path = PurePosixPath("/", *parts)
        assert pure_path_of(path.as_uri(), PurePosixPath) == path

    @pytest.mark.parametrize(
        ("uri", "path"),
        [
            ("file:///c%3A/a/b.py", "c:/a/b.py"),
            ("file:///C:/a%20b/%C3%A9;#.py", "C:/a b/é;"),
            ("file://server/share/a.py", "//server/share/a.py"),
            ("file://localhost/c:/a.py", "c:/a.py"),
        ],
    )
    def test_windows(self, uri: str, path: str) -> None:
        assert pure_path_of(uri, PureWindowsPath) == PureWindowsPath(path)

    @pytest.mark.parametrize(
        ("uri", "path"),
        [
            ("file:///a/b%20c;d%23.py", "/a/b c;d#.py"),
            ("file:///a/é.py", "/a/é.py"),
            ("file:///c:/a.py", "/c:/a.py"),
            ("file://localhost/a.py", "/a.py"),
        ],
    )
    def test_posix(self, uri: str, path: str) -> None:
        assert pure_path_of(uri, PurePosixPath) == PurePosixPath(path)

    @pytest.mark.parametrize(
        "uri",
        ["untitled:Untitled-1", "vscode-notebook-cell:/a/b.ipynb#W0", "git:/a.py", "", "a.py", "file:a.py",
         "file://[", "file:///a%00b", "file://elsewhere/a.py", "\ud800"],
    )  # fmt: skip
    def test_what_is_no_file_here(self, uri: str) -> None:
        assert pure_path_of(uri, PurePosixPath) is None

    @given(st.text())
    def test_any_text_is_a_file_or_none(self, uri: str) -> None:
        path = path_of(uri)
        assert path is None or path.is_absolute()

    def test_this_system(self, tmp_path: Path) -> None:
        assert path_of(uri_of(tmp_path / "a ü#?.py")) == tmp_path / "a ü#?.py"
        with pytest.raises(ValueError, match="relative"):
            uri_of(Path("a.py"))


class TestDocuments:
    @given(TEXTS, st.randoms(use_true_random=False), encodings)
    def test_after_any_edits_the_text_is_the_clients(
        self, text: str, choose: random.Random, encoding: Encoding
    ) -> None:
        workspace = Documents(None, position_encoding=types.PositionEncodingKind(encoding))
        workspace.put_text_document(types.TextDocumentItem("file:///a.py", "python", 1, text))
        for version in range(2, 12):
            first, last = sorted(choose.choices(range(len(text) + 1), k=2))
            new = "".join(choose.choices("xy\n\r\x0c\u2028é😋", k=choose.randrange(4)))
            start, end = (position_at(text, offset, encoding) for offset in (first, last))
            # A client edits where positions can be, so not between the halves of a line's end.
            first, last = (slow_offset(text, *place, encoding) for place in (start, end))
            text = text[:first] + new + text[last:]
            change = types.TextDocumentContentChangePartial(
                range=types.Range(types.Position(*start), types.Position(*end)), text=new
            )
            workspace.update_text_document(types.VersionedTextDocumentIdentifier(version, "file:///a.py"), change)
            document = workspace.get_text_document("file:///a.py")
            assert document.source == text
            assert "".join(document.lines) == text
            assert document.version == version

    def test_ranges_are_read_in_the_clients_units(self) -> None:
        workspace = Documents(None)
        workspace.put_text_document(types.TextDocumentItem("file:///a.py", "python", 1, "a\x0c😋b\r\nc"))
        document = workspace.get_text_document("file:///a.py")
        assert isinstance(document, Document)
        assert document.encoding == "utf-16"
        asked = types.Range(types.Position(0, 2), types.Position(0, 99))
        assert document.text_in_client_range(asked) == "😋b"
        assert document.client_position_at_offset(4) == types.Position(0, 5)
        assert asked.end.character == 99

    def test_a_whole_text_replaces_the_document(self) -> None:
        workspace = Documents(None)
        workspace.put_text_document(types.TextDocumentItem("untitled:1", "go", 1, "a"))
        workspace.update_text_document(
            types.VersionedTextDocumentIdentifier(2, "untitled:1"), types.TextDocumentContentChangeWholeDocument("b\r")
        )
        assert workspace.get_text_document("untitled:1").source == "b\r"
