"""Prompt building, healing and trimming: the pure parts of generation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicinal_daemon.generate.healing import Vocabulary, byte_level_token, sentencepiece_token, take_back
from vicinal_daemon.generate.post import Ending, before_stops, bits_per_byte, certain, is_looping, lines_done, trim
from vicinal_daemon.generate.prompt import STABLE_LINES, FillInTheMiddle, build_prompt, first_tokens, last_tokens
from vicinal_indexer.types import Chunk


def characters(text: str) -> list[tuple[int, int]]:
    """A tokenizer whose tokens are single characters."""
    return [(i, i + 1) for i in range(len(text))]


def snippet(path: str, text: str) -> Chunk:
    return Chunk(path, 1, 1 + text.count("\n"), 0, len(text), "python", "", "", text, "hash")


lines_of_code = st.lists(st.text("ab (){}\t", max_size=12), max_size=12).map("\n".join)


@given(lines_of_code, st.integers(1, 60))
def test_the_visible_context_is_the_end_of_the_file_within_the_budget(text: str, limit: int) -> None:
    visible = last_tokens(text, limit, characters)
    assert text.endswith(visible)
    assert len(visible) <= limit


@given(lines_of_code, st.integers(1, 60))
def test_a_snippet_is_the_start_of_its_chunk_within_the_budget(text: str, limit: int) -> None:
    head = first_tokens(text, limit, characters)
    assert text.startswith(head)
    assert len(head) <= limit


def test_whole_lines_are_kept_where_there_are_lines() -> None:
    assert last_tokens("first line\nsecond\nthird", 14, characters) == "second\nthird"
    assert first_tokens("first\nsecond line\nthird", 14, characters) == "first\n"


@given(st.lists(st.text("ab ()", max_size=9), min_size=30, max_size=60), st.integers(220, 400))
def test_the_context_begins_at_every_eighth_line_so_that_it_stays_while_typing(lines: list[str], limit: int) -> None:
    text = "\n".join(["x", *lines])
    visible = last_tokens(text, limit, characters)
    if visible == text or len(text) <= limit:
        return
    longest = text[-limit:]
    longest = longest[longest.find("\n") + 1 :]
    first = text[: len(text) - len(visible)].count("\n")
    assert first % STABLE_LINES == 0 or len(visible) == len(longest)
    assert longest.count("\n") - visible.count("\n") < STABLE_LINES
    assert len(visible) * 2 >= len(longest)


def test_while_typing_the_context_moves_once_in_eight_lines() -> None:
    text = "".join(f"line number {n}\n" for n in range(100))
    starts = []
    for n in range(64):
        text += f"typed line {n:3}\n"
        starts.append(len(text) - len(last_tokens(text, 600, characters)))
    assert len(set(starts)) <= 64 // STABLE_LINES + 1
    assert starts == sorted(starts)


def build(left: str, right: str = "", marks: FillInTheMiddle | None = None) -> tuple[str, str]:
    prompt = build_prompt(
        [snippet("near.py", "near = 1"), snippet("far.py", "far = 2")],
        "app.py",
        "python",
        left,
        right,
        context_tokens=100,
        snippet_tokens=50,
        offsets=characters,
        fill_in_the_middle=marks,
    )
    return prompt.text, prompt.text[slice(*prompt.context)]


def test_evidence_comes_first_and_the_most_informative_stands_next_to_the_file() -> None:
    text, context = build("x = near + ")
    assert text == "# far.py\nfar = 2\n\n# near.py\nnear = 1\n\n# app.py\nx = near + "
    assert context == "x = near + "


def test_a_model_with_marks_gets_prefix_suffix_middle() -> None:
    text, context = build("x = ", "\nprint(x)", FillInTheMiddle("<P>", "<S>", "<M>"))
    assert text.startswith("<P># far.py")
    assert text.endswith("# app.py\nx = <S>\nprint(x)<M>")
    assert context == "x = "


def test_at_the_end_of_a_file_there_is_no_middle_to_fill() -> None:
    assert build("x = ", " \n", FillInTheMiddle("<P>", "<S>", "<M>"))[0].endswith("# app.py\nx = ")


VOCABULARY = [b"", b"a", b"ab", b"abc", b"b", b"\n", b"\n    ", b"\n  ", b" ", b"ret", b"return"]


@given(st.text("ab\n ", min_size=1, max_size=6))
def test_healing_allows_exactly_the_tokens_that_can_spell_the_prefix(prefix: str) -> None:
    wanted = prefix.encode()
    expected = {i for i, t in enumerate(VOCABULARY) if t and (t.startswith(wanted) or wanted.startswith(t))}
    assert set(Vocabulary(VOCABULARY).compatible(wanted)) == expected


def test_white_space_at_the_end_and_one_token_before_it_are_taken_back() -> None:
    text = "def f():\n    "
    spans = [(0, 3), (3, 5), (5, 8), (8, 12), (12, 13)]
    assert take_back(text, spans) == 2


def test_a_character_of_several_tokens_is_taken_back_whole() -> None:
    assert take_back("a = '🎉", [(0, 1), (1, 3), (3, 5), (5, 6), (5, 6), (5, 6)]) == 3


def test_the_first_token_stays() -> None:
    assert take_back("   ", [(0, 3)]) == 1


def test_tokens_become_the_bytes_they_stand_for() -> None:
    assert byte_level_token("ĊĠĠ") == b"\n  "
    assert byte_level_token("<｜end｜>") == b""
    assert sentencepiece_token("▁def") == b" def"
    assert sentencepiece_token("<0x0A>") == b"\n"


@pytest.mark.parametrize(
    ("text", "lines", "mid_line", "done"),
    [
        ("x = 1", 1, False, False),
        ("x = 1\n", 1, False, True),
        ("\n\nx = 1", 1, False, False),
        ("\n\nx = 1\n", 1, False, True),
        ("\n", 1, True, True),
        ("a\n\nb\n", 2, False, True),
        ("a\nb", 2, False, False),
    ],
)
def test_generation_stops_after_the_wanted_lines(text: str, lines: int, mid_line: bool, done: bool) -> None:
    assert lines_done(text, lines, mid_line=mid_line) is done


def test_what_the_file_says_below_is_not_said_again() -> None:
    assert trim("total += x\nreturn total\n", "\n    return total\n", 2, mid_line=False) == "total += x"


def test_a_closing_bracket_is_no_repetition() -> None:
    assert trim("f(\n)\n", "\n)\n", 2, mid_line=False) == "f(\n)"


def test_white_space_alone_is_nothing() -> None:
    assert trim("  \n \n", "", 1, mid_line=False) == ""


@given(lines_of_code, lines_of_code, st.integers(1, 4), st.booleans())
def test_trimming_only_takes_away_from_the_end(text: str, right: str, lines: int, mid_line: bool) -> None:
    shown = trim(text, right, lines, mid_line=mid_line)
    assert text.startswith(shown)
    assert shown == shown.rstrip()


def test_a_loop_is_noticed_and_code_is_not() -> None:
    assert is_looping("x = " + "foo, " * 8)
    assert not is_looping("for item in items:\n    total += item.price * item.count\n")


def test_no_lines_are_no_bound() -> None:
    assert not lines_done("a\nb\nc\n", 0, mid_line=False)
    assert trim("a\nb\nc\n", "", 0, mid_line=False) == "a\nb\nc"


def test_an_answer_ends_before_its_stop_texts() -> None:
    ending = Ending(0, mid_line=False, stops=("\n\n", "def "))
    assert not ending.met("x = 1\n")
    assert ending.met("x = 1\n\n")
    assert ending.shown("x = 1\ndef f():\n\n", "") == "x = 1"


texts = st.text("ab", min_size=1, max_size=3)


@given(st.lists(texts, max_size=6), st.lists(texts, max_size=2))
def test_what_streams_is_never_taken_back(tokens: list[str], stops: list[str]) -> None:
    text, pieces = "", []
    for token in tokens:
        text += token
        pieces.append(certain(text, stops))
        if Ending(0, mid_line=False, stops=tuple(stops)).met(text):
            break
    assert all(before_stops(text, stops).startswith(piece) for piece in pieces)


def test_bits_per_byte_counts_bytes_not_tokens() -> None:
    assert bits_per_byte([-0.6931471805599453] * 3, "abc") == pytest.approx(1.0)
    assert bits_per_byte([-0.6931471805599453] * 3, "äb") == pytest.approx(1.0)
