"""Places by seed, cuts that lose nothing, and the statistics of a table."""

import pytest

from vicinal_daemon.evaluate.measure import Measurement, at_line_start, target_of
from vicinal_daemon.evaluate.places import Place, hide, sample_places
from vicinal_daemon.evaluate.report import markdown_pairs, markdown_table, paired_difference

FILE = "\n".join(f"value_{n} = compute(first_{n}, second_{n})" for n in range(60)) + "\n"


def test_a_cut_loses_nothing() -> None:
    cut = hide(FILE, Place("a.py", 20, 3))
    assert cut.left + cut.truth + cut.right == FILE
    assert cut.truth.startswith("\nvalue_19 =")
    assert cut.truth.count("\n") == 3


def test_a_place_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="no lines 60 to 99"):
        hide(FILE, Place("a.py", 60, 40))


def test_text_is_written_at_the_start_of_the_hidden_line() -> None:
    target = target_of(Place("a.py", 20, 1), hide(FILE, Place("a.py", 20, 1)))
    cursor = at_line_start(target)
    assert target.mid_line
    assert not cursor.mid_line
    assert cursor.left + cursor.hidden + cursor.right == FILE
    assert cursor.last_line == target.last_line == 20


def test_same_seed_same_places_and_none_overlap() -> None:
    files = {"a.py": FILE, "b.py": FILE.replace("value", "other")}
    places = sample_places(files, 12, seed=3)
    assert places == sample_places(files, 12, seed=3)
    assert places != sample_places(files, 12, seed=4)
    lines = [(place.path, line) for place in places for line in range(place.first_line, place.last_line + 1)]
    assert len(lines) == len(set(lines)) == 36


def test_fewer_places_are_the_first_of_more() -> None:
    assert sample_places({"a.py": FILE}, 3, seed=1) == sample_places({"a.py": FILE}, 9, seed=1)[:3]


def test_blank_comment_short_and_repeated_lines_are_no_places() -> None:
    text = FILE + "\n# a comment (with, many, tokens)\nx = 1\n" + "same(a, b, c, d)\n" * 9
    lines = text.split("\n")
    for place in sample_places({"a.py": text}, 100, seed=0, lines=1):
        assert lines[place.first_line - 1].startswith("value_")


def measured(mode: str, line: int, bits: float) -> Measurement:
    return Measurement("a.py", line, mode, bits, bits, 0, 0.0, 1.0)


def test_differences_are_paired_by_place() -> None:
    mean, error = paired_difference([1.0, 2.0, 3.0], [0.5, 1.5, 2.5])
    assert mean == pytest.approx(0.5)
    assert error == pytest.approx(0.0)
    results = [
        measured("in-file", 2, 2.0),
        measured("tuned", 1, 0.5),
        measured("in-file", 1, 1.0),
        measured("tuned", 2, 1.5),
    ]
    assert "| tuned | 1.000 | 0.667 | -0.500 ± 0.000 |" in markdown_table(results)
    assert "| tuned − in-file | -0.500 ± 0.000 | 2 of 2 |" in markdown_pairs(results, [("tuned", "in-file")])
