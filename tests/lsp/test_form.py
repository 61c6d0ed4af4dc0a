"""The form of an answer: examples in four languages, and what holds in any buffer for any text."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vicinal_lsp.brackets import closes, gap
from vicinal_lsp.form import may_ask, next_line, next_word, shaped, wanted_lines

OPEN, CLOSE = "([{", ")]}"


def accept(buffer: str, text: str, *, lines: int = 8, newline: str = "\n") -> str:
    """The buffer, whose cursor is at `|`, after what is shown of `text` was accepted; `|` where the text ends."""
    left, right = buffer.split("|")
    return left + shaped(text, left, right, most_lines=lines, newline=newline) + "|" + right


class TestAsking:
    @pytest.mark.parametrize(
        "buffer",
        ["def |", "print(|)", 'print("|")', "f(a, |);", "x = [|],", "if x|:", "|", "a\n|\nb", "  x.|\r\n", "Vec<|>"],
    )
    def test_an_automatic_request_is_made_at_a_lines_end(self, buffer: str) -> None:
        assert may_ask(*buffer.split("|"), invoked="automatic")

    @pytest.mark.parametrize("buffer", ["pri|nt", "x = | + 1", "|def f():", "f(|a)", "a|_", "done();|", "}|\nx"])
    def test_but_not_in_a_word_before_code_or_behind_what_is_finished(self, buffer: str) -> None:
        left, right = buffer.split("|")
        assert not may_ask(left, right, invoked="automatic")
        assert may_ask(left, right, invoked="invoked")


class TestLength:
    @pytest.mark.parametrize(
        ("language", "buffer"),
        [
            ("python", "def f(x):\n    |\n"),
            ("python", "def f(x):|"),
            ("python", "    if x:  # why\n        |"),
            ("python", "    else:|\n"),
            ("python", "items = [\n    |\n]"),
            ("python", "# the mean of the values\n|\n\nx = 1"),
            ("python", 'def f():\n    """The mean."""\n    |'),
            ("typescript", "function f() {\n  |\n}"),
            ("typescript", "const f = (x) =>\n  |"),
            ("typescript", "items.map((x) => {|\n"),
            ("typescript", "  // the mean\r\n  |\r\n"),
            ("typescript", "switch (x) {\n  case 1:\n    |"),
            ("typescript", "/**\n * The mean.\n */\n|"),
            ("go", "func f() error {\n\t|\n}"),
            ("go", "import (\n\t|\n)"),
            ("rust", "match x {\n    Some(y) =>\n        |"),
            ("rust", "fn f() ->\n    |"),
            ("rust", "/// The mean.\n|"),
            ("rust", "let total =\n    |"),
            ("lua", "if x then\n  |"),
            ("shellscript", "for x in y; do\n  |"),
            ("", "class A:\n\n    |"),
        ],
    )
    def test_a_block_is_completed_as_one(self, language: str, buffer: str) -> None:
        left, right = buffer.split("|")
        assert wanted_lines(left, right, 8, language) == 8

    @pytest.mark.parametrize(
        ("language", "buffer"),
        [
            ("python", "x = |"),
            ("python", "x = 1\n|\n"),
            ("python", "def f() -> |"),
            ("python", "x: |"),
            ("python", "print(|)"),
            ("python", "if x ==\n    |"),
            ("python", "    retu|"),
            ("python", "# a comment\n\n|"),
            ("typescript", "const x = |"),
            ("typescript", "type A = {\n  b:\n  |"),
            ("typescript", "foo({|})"),
            ("go", "x := f()\n\t|"),
            ("rust", "#[derive(Debug)]\n|"),
            ("c", "#include <a.h>\n|"),
            ("", "|"),
        ],
    )
    def test_elsewhere_a_line(self, language: str, buffer: str) -> None:
        left, right = buffer.split("|")
        assert wanted_lines(left, right, 8, language) == 1


class TestTheEndOfTheBlock:
    def test_python(self) -> None:
        text = "return sum(values)\n\n    # more\nprint(1)\n"
        assert accept("def mean(values):\n    |\n", text) == (
            "def mean(values):\n    return sum(values)\n\n    # more|\n"
        )
        assert accept("def f():|", "\n    return 1\n\nx = 2") == "def f():\n    return 1|"
        assert accept("if x:|", "\n    a = 1\nelse:\n    a = 2\nb = 3") == "if x:\n    a = 1\nelse:\n    a = 2|"

    def test_typescript(self) -> None:
        text = "\n  return a + b;\n}\n\nfunction sub() {"
        assert accept("function add(a, b) {|\n", text) == "function add(a, b) {\n  return a + b;\n}|\n"
        assert accept("if (a) {|\n", "\n  b();\n} else {\n  c();\n}\nd();") == (
            "if (a) {\n  b();\n} else {\n  c();\n}|\n"
        )

    def test_go(self) -> None:
        text = "if err != nil {\n\t\treturn err\n\t}\n\treturn nil\n}\n\nfunc other() {"
        assert accept("func f() error {\n\t|\n}\n", text) == (
            "func f() error {\n\tif err != nil {\n\t\treturn err\n\t}\n\treturn nil|\n}\n"
        )
        assert accept("\tswitch x {|\n\t}", "\n\tcase 1:\n\t\treturn") == "\tswitch x {\n\tcase 1:\n\t\treturn|\n\t}"

    def test_rust(self) -> None:
        text = "match self {\n            A => 1,\n            B => 2,\n        }\n    }\n\n    fn g() {"
        assert accept("impl X {\n    fn f(&self) -> u8 {\n        |\n    }\n}\n", text) == (
            "impl X {\n    fn f(&self) -> u8 {\n        match self {\n            A => 1,\n            B => 2,\n"
            "        }|\n    }\n}\n"
        )

    def test_at_most_so_many_lines(self) -> None:
        assert accept("x = |", "1\ny = 2\nz = 3", lines=1) == "x = 1|"
        assert accept("|", "a\n\nb\nc", lines=2) == "a\n\nb|"


class TestRepetition:
    @pytest.mark.parametrize(
        ("buffer", "text", "accepted"),
        [
            ("a = 1\n|\nreturn a\n", "b = 2\nreturn a", "a = 1\nb = 2|\nreturn a\n"),
            ("a = 1\n|\n\n  return a\n", "return a", "a = 1\n|\n\n  return a\n"),
            ("ret|\nreturn a\n", "urn a", "ret|\nreturn a\n"),
            ("f(|)\nf(x)", "x)", "f(|)\nf(x)"),
            ("  |\n}\n\nfunc g() {", "  a()\n}\n\nfunc g() {", "    a()|\n}\n\nfunc g() {"),
            ("x {\n  |\n})\n\nmore()\n", "a()\n})\n\nmore()", "x {\n  a()|\n})\n\nmore()\n"),
        ],
    )
    def test_lines_below(self, buffer: str, text: str, accepted: str) -> None:
        assert accept(buffer, text) == accepted

    @pytest.mark.parametrize(
        ("buffer", "text", "accepted"),
        [
            ("foo(|)", "a, b)", "foo(a, b|)"),
            ("foo(|)", "bar()", "foo(bar()|)"),
            ("foo(|)", "bar())", "foo(bar()|)"),
            ("foo(|);", "a, b);", "foo(a, b|);"),
            ('print("|")', 'hello")', 'print("hello|")'),
            ('print("|', 'a (b")', 'print("a (b")|'),
            ('print("|"', 'hello"', 'print("hello|"'),
            ("return |;", "value;", "return value|;"),
            ("if (|) {", "x > 1) {\n  y();", "if (x > 1|) {"),
            ("xs[|]", "i]", "xs[i|]"),
            ("xs[|]", "ys[0]", "xs[ys[0]|]"),
            ("f(a,| b)", " b)", "f(a,| b)"),
            ("let v: Vec<&'a str> = f(|);", "x('(', y));", "let v: Vec<&'a str> = f(x('(', y)|);"),
            ("call(it's(|))", "x))", "call(it's(x|))"),
        ],
    )
    def test_behind_the_cursor(self, buffer: str, text: str, accepted: str) -> None:
        assert accept(buffer, text) == accepted


class TestBrackets:
    @pytest.mark.parametrize(
        ("buffer", "text", "accepted"),
        [
            ("f(g(|", "x))", "f(g(x))|"),
            ("f(g(|", "x)))", "f(g(x))|"),
            ("f(g(|)", "x))", "f(g(x)|)"),
            ("f(|", "x]", "f(x|"),
            ("x = |", "1)", "x = 1|"),
            ("fn f() {\n    |\n}", "g();\n}", "fn f() {\n    g();|\n}"),
            ("fn f() {|", "\n    g();\n}", "fn f() {\n    g();\n}|"),
            ("impl X {\n  fn f() {|\n}", "\n    g();\n  }\n}", "impl X {\n  fn f() {\n    g();\n  }|\n}"),
            ("f(|", '")", y)', 'f(")", y)|'),
            ("# a :(\nf(|", "x)", "# a :(\nf(x)|"),
            ("// don't (\nf(|", "x))", "// don't (\nf(x)|"),
            ('"""a (b"""\nx = |', "1)", '"""a (b"""\nx = 1|'),
            ("fn f<'a, 'b>(x: &'a str|", ") {", "fn f<'a, 'b>(x: &'a str) {|"),
            ("x = |", "f(a", "x = f(a|"),
            ("if a {\n  b\n|\n}", "} else {\n  c", "if a {\n  b\n} else {\n  c|\n}"),
            ("if a {\n  b\n|\n}", "}\nc", "if a {\n  b\n|\n}"),
            ("f(|)", "x) + g(", "f(x|)"),
        ],
    )
    def test_none_of_others_is_closed(self, buffer: str, text: str, accepted: str) -> None:
        assert accept(buffer, text) == accepted


class TestWhiteSpace:
    def test_tabs_stay_tabs(self) -> None:
        text = "if x {\n        y()\n    }"
        assert accept("func f() {\n\t|\n}", text) == "func f() {\n\tif x {\n\t\ty()\n\t}|\n}"
        assert accept("func f() {\n\t|\n}", "if x {\n    y()\n  }") == "func f() {\n\tif x {\n\t\ty()\n\t}|\n}"
        assert accept("func f() {\n\ta()\n|\n}", "    b()") == "func f() {\n\ta()\n\tb()|\n}"

    def test_spaces_stay_spaces(self) -> None:
        assert accept("def f():\n  if x:|\n", "\n\t\treturn 1") == "def f():\n  if x:\n    return 1|\n"
        assert accept("def f():\n    a\n    |", "if x:\n\t\tb") == "def f():\n    a\n    if x:\n        b|"

    def test_the_files_line_ends_are_kept(self) -> None:
        assert accept("f {|\r\n", "\n  a\n\n  b\n}", newline="\r\n") == "f {\r\n  a\r\n\r\n  b\r\n}|\r\n"
        assert accept("f {|\r\n", "\r\n  a\r\n}", newline="\r\n") == "f {\r\n  a\r\n}|\r\n"
        assert accept("f {\r  |\r}", "a\nb", newline="\r") == "f {\r  a|\r}"

    @pytest.mark.parametrize("text", ["", " ", "\n\n", "\t\r\n ", ")", ")\nx"])
    def test_nothing_is_nothing(self, text: str) -> None:
        assert accept("f(|)\n", text) == "f(|)\n"

    def test_no_white_space_at_an_end(self) -> None:
        assert accept("f {|", "\n  a  \n  \n  b\t\n\n") == "f {\n  a\n\n  b|"


class TestParts:
    def test_words(self) -> None:
        assert list(taken(next_word, "  foo.bar(x)\n    y")) == ["  foo", ".", "bar", "(", "x", ")", "\n    y"]

    def test_lines(self) -> None:
        assert list(taken(next_line, "a)\r\n\r\n  b\n")) == ["a)", "\r\n\r\n  b", "\n"]


def taken(take: Callable[[str], str], text: str) -> Iterator[str]:
    while text:
        part = take(text)
        assert part
        assert text.startswith(part)
        yield part
        text = text[len(part) :]


# Little alphabets make buffers in which rules meet.
LINES = st.sampled_from(
    ["", "    ", "x", "return x", "    return x", "\tcall(a, b)", "}", "    }", ")", "if x {", "def f():", "  f(",
     "'a'", '"b', "else:", "# note (", "🐍 = [1]", "\x0c", "f(x) {", "y = (1,", "end"]
)  # fmt: skip
NEWLINES = st.sampled_from(["\n", "\r\n", "\r"])
PIECES = st.text(st.sampled_from("ax ()[]{}\"':;=#\n\t\r😋\x0c\u2028"), max_size=30)
CODE = PIECES | st.builds("{}{}".format, st.builds("\n".join, st.lists(LINES, max_size=8)), PIECES)
BRACKETS = st.text(st.sampled_from("()[]{}a \n"), max_size=30)


def plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def open_brackets(text: str) -> list[str] | None:
    """The brackets that stand open at the end, innermost last; None if one is closed that is not open."""
    stack: list[str] = []
    for character in text:
        if character in OPEN:
            stack.append(character)
        elif character in CLOSE and (not stack or OPEN.index(stack.pop()) != CLOSE.index(character)):
            return None
    return stack


@given(CODE, CODE, CODE, st.integers(1, 6), NEWLINES)
@example("x)\n}", "f(", ")\n}", 3, "\n")
def test_whatever_is_accepted(text: str, left: str, right: str, most: int, newline: str) -> None:
    shown = shaped(text, left, right, most_lines=most, newline=newline)
    assert shown == shown.rstrip()
    assert plain(shown).replace("\n", newline) == shown
    assert shaped(shown, left, right, most_lines=most, newline=newline) == shown
    row = plain(left).split("\n")[-1]
    counted = [line for at, line in enumerate(plain(shown).split("\n")) if line.strip() or (at == 0 and row.strip())]
    assert len(counted) <= most


@given(CODE, CODE, CODE, st.integers(1, 6), NEWLINES)
def test_the_line_below_is_never_repeated(text: str, left: str, right: str, most: int, newline: str) -> None:
    shown = shaped(text, left, right, most_lines=most, newline=newline)
    rest, *below = plain(right).split("\n")
    following = next((line.strip() for line in below if line.strip()), "")
    if shown and len(following) > 3:
        last = plain(left + shown).split("\n")[-1]
        assert following not in (last.strip(), (last + rest).strip())


@given(BRACKETS, BRACKETS, BRACKETS)
def test_no_bracket_is_closed_that_is_not_the_texts(text: str, left: str, right: str) -> None:
    shown = shaped(text, left, right, most_lines=6, newline="\n")
    if open_brackets(left) is None:
        return
    assert open_brackets(left + shown) is not None
    # What stands right of the cursor still finds what it closes, as it is or once the text has closed its own.
    if open_brackets(left + right) is not None:
        own_closed = open_brackets(left + shown + closing(left, shown) + right)
        assert own_closed is not None or open_brackets(left + shown + right) is not None


def closing(left: str, shown: str) -> str:
    """The brackets that close what `shown` opened and left open."""
    stacks = [open_brackets(left + shown[:length]) or [] for length in range(len(shown) + 1)]
    own = stacks[-1][min(map(len, stacks)) :]
    return "".join(CLOSE[OPEN.index(bracket)] for bracket in reversed(own))


@given(CODE)
def test_parts_are_prefixes_and_use_the_text_up(text: str) -> None:
    assert "".join(taken(next_word, text)) == "".join(taken(next_line, text)) == text


@given(CODE, CODE, st.integers(1, 20), st.sampled_from(["", "python", "go"]))
def test_asking_never_fails(left: str, right: str, most: int, language: str) -> None:
    assert wanted_lines(left, right, most, language) in (1, most)
    assert may_ask(left, right, invoked="invoked")
    rest = plain(right).split("\n")[0]
    if rest[:1].isalnum():
        assert not may_ask(left, right, invoked="automatic")


SIGNS = st.lists(st.sampled_from([*"()[]{}\"'`/*#\\ \na<&,", '"""', "/*", "*/", "//"]), max_size=12).map("".join)


@given(SIGNS, SIGNS, SIGNS)
@example("", "#\n", "")
def test_what_closes_nothing_of_others_is_left_as_it_is(left: str, text: str, right: str) -> None:
    if not closes(text):
        assert gap(left, right).within(text) == text
