"""Chosen chunks go on with the lines behind them, up to what must not be seen; and which are worth a step."""

from vicinal_daemon.config import Settings
from vicinal_daemon.neighbourhood import Choice, lengthened
from vicinal_daemon.select import Selection
from vicinal_indexer.types import Chunk, Region, digest

ROWS = [f"line {number}" for number in range(1, 41)]
TEXT = "\n".join(ROWS) + "\n"


def chunk(first: int, last: int, path: str = "a.py") -> Chunk:
    text = "\n".join(ROWS[first - 1 : last])
    start = len("\n".join(ROWS[: first - 1])) + (first > 1)
    return Chunk(path, first, last, start, start + len(text), "python", "", "", text, digest(text))


def lines(found: Chunk) -> tuple[int, int]:
    assert found.text.split("\n") == ROWS[found.start_line - 1 : found.end_line]
    assert TEXT.encode()[found.start_byte : found.end_byte].decode() == found.text
    return found.start_line, found.end_line


def test_a_short_chunk_goes_on_and_keeps_its_name() -> None:
    short = chunk(3, 5)
    (found,) = lengthened([short], {"a.py": TEXT}.get, 10, [])
    assert lines(found) == (3, 12)
    assert found.content_hash == short.content_hash


def test_a_long_one_stays_as_it_is() -> None:
    assert lengthened([chunk(3, 30)], {"a.py": TEXT}.get, 10, []) == (chunk(3, 30),)
    assert lengthened([chunk(3, 5)], {"a.py": TEXT}.get, 0, []) == (chunk(3, 5),)


def test_it_ends_before_what_must_not_be_seen_and_before_the_next_one() -> None:
    first, second, last = lengthened(
        [chunk(3, 5), chunk(9, 10), chunk(38, 38)], {"a.py": TEXT}.get, 10, [Region("a.py", 14, 20)]
    )
    assert [lines(found) for found in (first, second)] == [(3, 8), (9, 13)]
    assert last.start_line == 38
    (other,) = lengthened([chunk(3, 5)], {"a.py": TEXT}.get, 10, [Region("b.py", 6, 20)])
    assert lines(other) == (3, 12)


def test_the_end_of_the_file_is_the_end() -> None:
    (found,) = lengthened([chunk(38, 38)], {"a.py": TEXT}.get, 10, [])
    assert found.end_line == len(ROWS) + 1
    assert found.text.rstrip("\n").endswith("line 40")


def test_a_file_that_has_changed_or_is_gone_prolongs_nothing() -> None:
    assert lengthened([chunk(3, 5)], {"a.py": "new\n" + TEXT}.get, 10, []) == (chunk(3, 5),)
    assert lengthened([chunk(3, 5)], {}.get, 10, []) == (chunk(3, 5),)


def test_the_stop_ends_steps_and_not_what_the_prompt_shows() -> None:
    chunks = tuple(chunk(n * 10 + 1, n * 10 + 5) for n in range(3))
    selection = Selection((0, 1, 0, 2), (1.0, 0.81, 0.64, 0.49, 0.36), 0.1)
    choice = Choice(chunks, selection, candidates=9)
    steps = {alpha: choice.steps(Settings.model_validate({"select": {"alpha": alpha}})) for alpha in (0, 0.4, 0.6, 2)}
    assert steps == {0: 4, 0.4: 4, 0.6: 2, 2: 0}
    assert choice.steps(Settings.model_validate({"select": {"alpha": 0}, "tune": {"steps": 3}})) == 3
    assert choice.snippets(4) == list(chunks)
