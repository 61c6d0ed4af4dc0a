"""Where files are cut: goldens per language, what holds for any text, and what an edit may change."""

import gc
import importlib.util
import random
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vicinal_indexer import languages
from vicinal_indexer.chunks import chunk
from vicinal_indexer.chunks.tree import parse
from vicinal_indexer.types import Chunk

_spec = importlib.util.spec_from_file_location("golden_chunks", Path(__file__).parent / "golden_chunks.py")
assert _spec is not None
assert _spec.loader is not None
goldens = importlib.util.module_from_spec(_spec)
sys.modules["golden_chunks"] = goldens
_spec.loader.exec_module(goldens)

SOURCES: dict[str, Path] = goldens.sources()
check = goldens.check
PLAIN = sorted(set(SOURCES) - {languages.NOTEBOOK})
REQUIRED = "python typescript tsx javascript go rust java c cpp csharp ruby php markdown notebook".split()


def read(language: str) -> str:
    return SOURCES[language].read_text("utf-8")


def hashes(text: str, language: str) -> list[str]:
    return [c.content_hash for c in chunk("p", text, language)]


@pytest.mark.parametrize("language", SOURCES)
def test_golden(language: str) -> None:
    text = read(language)
    assert goldens.table(language, text) == goldens.expected(SOURCES[language]).read_text("utf-8")


def test_the_promised_languages_have_goldens() -> None:
    assert set(REQUIRED) <= set(SOURCES)


@pytest.mark.parametrize("language", PLAIN)
def test_goldens_are_covered(language: str) -> None:
    check(read(language), language)
    check(read(language) * 5, language)


def test_nothing_of_a_text_that_was_parsed_is_kept() -> None:
    source = read("python").encode() * 20
    assert parse(source, "python") is not None
    tracemalloc.start()
    try:
        for _ in range(20):
            parse(source, "python")
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < len(source)


@pytest.mark.parametrize("character", ["e", "é", "日"])
def test_no_character_is_cut_in_two_on_its_way_into_the_parser(character: str) -> None:
    for length in [*range(1, 40), 1_365, 1_366, 2_731]:
        root = parse((character * length).encode(), "python")
        assert root is not None
        assert not root.has_error, length


@pytest.mark.parametrize("length", [1_000, 1_097, 1_194, 2_164])
def test_a_budget_may_end_within_a_character(length: int) -> None:
    assert parse(("\ufeff" * length).encode(), "scala") is None


def test_the_text_of_a_node_can_be_read_after_the_parse() -> None:
    source = read("python").encode() * 20
    root = parse(source, "python")
    assert root is not None
    assert [node.text for node in root.children] == [source[node.start_byte : node.end_byte] for node in root.children]


@pytest.mark.parametrize("language", PLAIN)
def test_most_chunks_are_neither_tiny_nor_huge(language: str) -> None:
    sizes = [c.end_line - c.start_line + 1 for c in chunk("p", read(language), language)]
    assert min(sizes) >= 4
    assert max(sizes) <= 48


STATEMENT = re.compile(r"^\s*(?:\w+ |\w+: )?[$*]?total\S* *(?:\+?=|:=|:)(?!=)(?!.*[{(,]$)|^The total|^  total: ")
"""Lines of the goldens that can be renamed, doubled or left out without breaking the syntax around them."""


SPLIT = {"report", "OrderView", "Orders.Use"}
"""Definitions of the goldens that are longer than a chunk: their own pieces may all change."""


def changed(before: list[Chunk], text: str, language: str) -> list[str]:
    """The symbols of the chunks that are no more, after an edit."""
    after = {c.content_hash for c in chunk("p", text, language)}
    return [c.symbol for c in before if c.content_hash not in after]


@pytest.mark.parametrize("language", PLAIN)
def test_an_edit_changes_only_its_own_chunk(language: str) -> None:
    lines = read(language).split("\n")
    before = chunk("p", "\n".join(lines), language)
    rows = [row for row, line in enumerate(lines) if STATEMENT.match(line)]
    assert len(rows) >= 1
    for row in rows:
        own = next(c.symbol for c in before if c.start_line <= row + 1 <= c.end_line)
        for new in ([lines[row].replace("total", "amount")], [lines[row]] * 2, []):
            symbols = changed(before, "\n".join([*lines[:row], *new, *lines[row + 1 :]]), language)
            assert set(symbols) == {own}, lines[row]
            assert len(symbols) == 1 or own in SPLIT, lines[row]


def test_a_function_that_grows_and_is_cut_leaves_its_neighbours_alone() -> None:
    functions = [f"def f{i}():\n" + "".join(f"    x{n} = {i}\n" for n in range(12 + i)) + "\n\n" for i in range(20)]
    before = set(hashes("".join(functions), "python"))
    functions[7] = "def f7():\n" + "".join(f"    y{n} = {n}\n" for n in range(300)) + "\n\n"
    after = set(hashes("".join(functions), "python"))
    assert len(before - after) == 1
    assert len(after - before) > 8


def test_small_functions_are_merged_and_an_edit_stays_in_its_group() -> None:
    functions = [f"def f{i}():\n    return {i}\n\n\n" for i in range(60)]
    before = chunk("p", "".join(functions), "python")
    assert all(c.end_line - c.start_line + 1 >= 6 for c in before)
    functions[30] = "def f30():\n    x = 1\n    return x\n\n\n"
    after = set(hashes("".join(functions), "python"))
    assert len({c.content_hash for c in before} - after) <= 1


@pytest.mark.parametrize("language", ["", "json", "python", "html"])
def test_windows_of_text_do_not_move_with_what_is_above(language: str) -> None:
    source = random.Random(1)  # noqa: S311 - not a secret
    lines = [" ".join(source.choices("alpha beta gamma delta kappa 12 34 . -".split(), k=6)) for _ in range(2_000)]
    if language == "python":
        lines = ['"""', *lines, '"""']
    before = set(hashes("\n".join(lines), language))
    after = set(hashes("\n".join([lines[0], "one line more", *lines[1:]]), language))
    assert len(before) > 60
    assert len(before - after) <= 3


def test_headers_say_what_is_around_a_chunk() -> None:
    found = {c.symbol: c.header for c in chunk("p", read("csharp"), "csharp")}
    assert found["Example.Orders.Order.Add"] == "namespace Example.Orders\npublic class Order : IPriced"
    assert [c.header for c in chunk("p", read("go"), "go")] == [""] * 6
    halves = [c for c in chunk("p", read("python"), "python") if c.symbol == "report"]
    assert [bool(c.header) for c in halves] == [False, True]
    assert halves[1].header.startswith("def report(orders")


def test_a_long_header_keeps_what_is_innermost() -> None:
    body = "".join(f"        def m{i}(self):\n" + "            x = 1\n" * 12 for i in range(3))
    text = f"class A({'X' * 150}):\n    class B({'Y' * 100}):\n{body}"
    header = chunk("p", text, "python")[-1].header
    assert header == f"class B({'Y' * 100}):"


CODE = st.lists(
    st.sampled_from(
        [
            "class A:",
            "  def f(x):",
            "    return 1",
            "@deco",
            "import a",
            "{",
            "}",
            "# c",
            "",
            "(",
            "é\r",
            "end",
            "<a>",
            "---",
        ]
    )
).map("\n".join)
TEXT = st.one_of(st.text(st.characters(codec="utf-8")), CODE)


@pytest.mark.parametrize("language", ["", "no-such-grammar", *sorted(languages.MAPPED - {languages.NOTEBOOK})])
@given(text=TEXT)
@example(text="5\U000ede3e")
@settings(max_examples=30, deadline=None)
def test_every_line_is_in_exactly_one_chunk(language: str, text: str) -> None:
    check(text, languages.refined(language, text))


@pytest.mark.parametrize("language", PLAIN)
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_broken_syntax_is_covered_too(language: str, data: st.DataObject) -> None:
    text = read(language)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 200)))
    check(text[:start] + data.draw(st.sampled_from(["", "{", ")", '"', "\0", "\n\n"])) + text[end:], language)


@pytest.mark.parametrize("language", ["", *PLAIN])
def test_deep_nesting_does_not_recurse(language: str) -> None:
    for opening, closing in ("()", "[]", "{}"):
        check(opening * 5_000 + closing * 5_000, language)
        check(f"{opening}\n" * 5_000 + f"{closing}\n" * 5_000, language)
    check("".join(" " * depth + "- a:\n" for depth in range(600)), language)
    check("> " * 3_000 + "a\n" + "- " * 3_000 + "a", language)


def test_too_costly_a_parse_falls_back_to_windows() -> None:
    source = random.Random(0)  # noqa: S311 - not a secret
    text = "".join(chr(source.randrange(32, 127)) if source.random() > 0.03 else "\n" for _ in range(40_000))
    check(text, "typescript")


def test_threads_parse_at_once() -> None:
    # In a process of its own: what is tested for ends the process, not the test.
    code = """
import threading
from vicinal_indexer.chunks import chunk
text = "".join(f"def f{n}(a, b):\\n    return [a + b for _ in range({n})]\\n\\n\\n" for n in range(400))
whole = [piece.content_hash for piece in chunk("a.py", text, "python")]
start, same = threading.Barrier(4), []
def work():
    start.wait()
    for _ in range(6):
        same.append([piece.content_hash for piece in chunk("a.py", text, "python")] == whole)
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(same), all(same))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["24", "True"]), done.stderr
