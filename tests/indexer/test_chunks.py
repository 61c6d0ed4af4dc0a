"""Where files are cut: goldens per language, and what holds for any text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vicinal_indexer.chunks import chunk

PYTHON = '''"""Doc."""

import os
import sys

from a import b


# about f
@cached
def f(a):
    return a


@final
class A(B):
    """Doc."""

    x: int

    @property
    def m(self):
        a = 1
        b = 2
        c = 3
        d = 4
        e = 5
        f = 6
        return a

    def n(self):
        a = 1
        b = 2
        c = 3
        d = 4
        e = 5
        f = 6
        g = 7
        h = 8
        return a
'''
TYPESCRIPT = """import { a } from "a";
import { b } from "b";

/** About f. */
export function f(x: number): number {
  return x;
}

export interface Shape {
  a: number;
  b: number;
  c: number;
  d: number;
  e: number;
  f: number;
  g: number;
  h: number;
}
"""
GO = """package main

import "fmt"

// F says hello.
func F() {
	fmt.Println("a")
	fmt.Println("b")
	fmt.Println("c")
	fmt.Println("d")
	fmt.Println("e")
	fmt.Println("f")
}

type T struct {
	A int
	B int
	C int
}
"""
RUST = """use std::fmt;

#[derive(Debug)]
pub struct Point {
    x: i32,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let a = 1;
        let b = 2;
        let c = 3;
        let d = 4;
        write!(f, "{}", self.x)
    }
}
"""
MARKDOWN = "# Title\n\nIntro.\n\n## One\n\n" + "word\n" * 20 + "\n## Two\n\n" + "text\n" * 16
GOLDENS = {
    "python": (PYTHON, [(1, 6, ""), (9, 19, "f"), (21, 29, "A.m"), (31, 40, "A.n")]),
    "typescript": (TYPESCRIPT, [(1, 7, "f"), (9, 18, "Shape")]),
    "go": (GO, [(1, 13, "F"), (15, 19, "T")]),
    "rust": (RUST, [(1, 6, "Point"), (8, 16, "Point")]),
    "markdown": (MARKDOWN, [(1, 26, "Title"), (28, 45, "Title.Two")]),
}


@pytest.mark.parametrize("language", GOLDENS)
def test_golden(language: str) -> None:
    text, expected = GOLDENS[language]
    assert [(c.start_line, c.end_line, c.symbol) for c in chunk("p", text, language)] == expected


def check(text: str, language: str) -> None:
    chunks = chunk("p", text, language)
    lines = text.split("\n")
    counts = [0] * len(lines)
    for c in chunks:
        assert text.encode()[c.start_byte : c.end_byte].decode() == c.text
        assert c.text == "\n".join(lines[c.start_line - 1 : c.end_line])
        for line in range(c.start_line - 1, c.end_line):
            counts[line] += 1
    assert all(count == 1 for count, line in zip(counts, lines, strict=True) if line.strip())
    assert max(counts) <= 1


LANGUAGES = ["", "python", "typescript", "go", "rust", "markdown", "cpp", "json", "no-such-grammar"]
CODE = st.lists(
    st.sampled_from(["class A:", "  def f(x):", "    return 1", "@deco", "import a", "{", "}", "# c", "", "(", "é\r"])
).map("\n".join)


@pytest.mark.parametrize("language", LANGUAGES)
@given(text=st.one_of(st.text(st.characters(codec="utf-8")), CODE))
@settings(max_examples=60, deadline=None)
def test_every_line_is_in_exactly_one_chunk(language: str, text: str) -> None:
    check(text, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_deep_nesting_does_not_recurse(language: str) -> None:
    check("(" * 5_000 + ")" * 5_000, language)
    check("(\n" * 5_000 + ")\n" * 5_000, language)


@pytest.mark.parametrize("language", list(GOLDENS))
def test_goldens_are_covered(language: str) -> None:
    check(GOLDENS[language][0] * 5, language)


def test_an_edit_changes_only_its_own_chunk() -> None:
    functions = [f"def f{i}():\n" + f"    x = {i}\n" * 15 + "\n\n" for i in range(8)]
    before = {c.content_hash for c in chunk("p", "".join(functions), "python")}
    functions[3] = functions[3].replace("x = 3", "y = 3")
    after = {c.content_hash for c in chunk("p", "".join(functions), "python")}
    assert len(before - after) == len(after - before) == 1


def test_too_costly_a_parse_falls_back_to_windows() -> None:
    import random

    source = random.Random(0)  # noqa: S311 - not a secret
    text = "".join(chr(source.randrange(32, 127)) if source.random() > 0.03 else "\n" for _ in range(40_000))
    check(text, "typescript")
