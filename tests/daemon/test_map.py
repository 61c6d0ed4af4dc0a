"""The map: places are shared fairly, areas are lines, names are data, and numbers mean what the page says."""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vicinal_daemon import config
from vicinal_daemon.config import Settings
from vicinal_daemon.errors import ExtraMissing
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.map.measure import HIDDEN_LINES, is_code, plan, survey, target_at, with_bits, words
from vicinal_daemon.map.page import page, printable
from vicinal_daemon.map.picture import HEIGHT, WIDTH, png
from vicinal_daemon.map.places import LINES_BEFORE, MOST_PER_FILE, code_lines, lines_to_measure, share_places
from vicinal_daemon.map.scale import VIRIDIS, WORDING, bright, colour_of, contrast, ink_on
from vicinal_daemon.map.survey import MeasuredFile, MeasuredPlace, Survey, overall
from vicinal_daemon.map.treemap import Box, Folder, nest, squarify
from vicinal_daemon.neighbourhood import find_candidates
from vicinal_indexer.index import RepositoryIndex

weights = st.lists(st.integers(1, 100_000), min_size=1, max_size=60)
boxes = st.builds(Box, st.floats(-50, 50), st.floats(-50, 50), st.floats(1, 2000), st.floats(1, 2000))


@given(weights, boxes)
def test_areas_are_proportional_to_weights(weights: list[int], box: Box) -> None:
    for weight, found in zip(weights, squarify(weights, box), strict=True):
        assert found.area == pytest.approx(box.area * weight / sum(weights), rel=1e-6)


@given(weights, boxes)
def test_rectangles_stay_inside_and_do_not_overlap(weights: list[int], box: Box) -> None:
    found = squarify(weights, box)
    hair = 1e-6 * (box.width + box.height)
    for one in found:
        assert one.x >= box.x - hair
        assert one.y >= box.y - hair
        assert one.x + one.width <= box.x + box.width + hair
        assert one.y + one.height <= box.y + box.height + hair
    for number, one in enumerate(found):
        for other in found[:number]:
            wide = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
            high = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
            assert min(wide, high) <= hair


def test_the_example_of_the_paper_is_laid_out_as_in_the_paper() -> None:
    found = squarify([6, 6, 4, 3, 2, 2, 1], Box(0, 0, 6, 4))
    first = [(box.x, box.y, box.width, box.height) for box in found[:4]]
    expected = [(0, 0, 3, 2), (0, 2, 3, 2), (3, 0, 12 / 7, 7 / 3), (3 + 12 / 7, 0, 9 / 7, 7 / 3)]
    assert first == [pytest.approx(one) for one in expected]


def test_squares_stay_nearly_square() -> None:
    found = squarify([1] * 100, Box(0, 0, 1000, 700))
    assert median(max(box.width / box.height, box.height / box.width) for box in found) < 1.5


@pytest.mark.parametrize("wrong", [0, -1])
def test_a_weight_must_be_positive(wrong: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        squarify([1, wrong], Box(0, 0, 1, 1))


paths = st.lists(st.text("abc/", min_size=1, max_size=9), max_size=20).map(
    lambda names: sorted({"/".join(filter(None, name.split("/"))) + ".py" for name in names if name.strip("/")})
)


@given(paths)
def test_a_tree_holds_every_file_once(paths: list[str]) -> None:
    files = [MeasuredFile(path, "python", 1 + len(path), ()) for path in paths]
    tree = nest(files, "root")
    assert sorted(file.path for file in tree.files()) == paths
    assert tree.lines == sum(file.lines for file in files)


def test_folders_that_hold_one_folder_are_one() -> None:
    files = [MeasuredFile(f"src/main/java/{name}.java", "java", 5, ()) for name in "ab"]
    tree = nest([*files, MeasuredFile("build.py", "python", 3, ())], "shop")
    (folder,) = (entry for entry in tree.entries if isinstance(entry, Folder))
    assert (folder.name, folder.path) == ("src/main/java", "src/main/java")


sizes = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.integers(0, 5000), max_size=30)


@given(sizes, st.integers(1, 200))
def test_places_are_bounded_and_every_file_comes_before_a_second_turn(lines: dict[str, int], total: int) -> None:
    shared = share_places(lines, total)
    assert sum(shared.values()) <= total
    assert all(1 <= count <= MOST_PER_FILE for count in shared.values())
    with_code = {path for path, count in lines.items() if count}
    assert shared.keys() <= with_code
    if max(shared.values(), default=1) > 1:
        assert shared.keys() == with_code
    assert all(
        shared.get(larger, 0) >= shared.get(smaller, 0)
        for larger in with_code
        for smaller in with_code
        if lines[larger] > lines[smaller]
    )


texts = st.lists(st.sampled_from(["", "  ", "x = 1", "    return x"]), max_size=60).map("\n".join)


@given(texts, st.integers(1, 8), st.integers(0, 5))
def test_places_are_lines_of_code_with_code_before_them(text: str, count: int, seed: int) -> None:
    lines = lines_to_measure("a.py", text, count, seed)
    rows = text.split("\n")
    assert lines == sorted(set(lines)) == lines_to_measure("a.py", text, count, seed)
    assert len(lines) == min(count, max(code_lines(text) - LINES_BEFORE, min(1, max(0, code_lines(text) - 1))))
    for line in lines:
        assert rows[line - 1].strip()
        assert code_lines("\n".join(rows[: line - 1])) >= min(LINES_BEFORE, code_lines(text) - 1)


@given(texts, st.data())
def test_a_target_is_the_file_cut_in_three(text: str, data: st.DataObject) -> None:
    rows = text.split("\n")
    line = data.draw(st.integers(2, max(2, len(rows))))
    if line > len(rows):
        return
    target = target_at("a.py", text, line)
    assert target.left + target.hidden + target.right == text
    assert target.last_line == min(line + HIDDEN_LINES - 1, len(rows))


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_ink_can_be_read_on_every_colour(colour: tuple[int, int, int]) -> None:
    assert contrast(ink_on(colour), colour) >= 4.5


def test_bright_is_known_and_brightness_alone_tells_the_order() -> None:
    brightness = [contrast(bright(step / 20), (0, 0, 0)) for step in range(21)]
    assert brightness == sorted(brightness)
    for measure, wording in WORDING.items():
        assert colour_of(wording.known, measure) == VIRIDIS[-1]
        assert colour_of(wording.unknown, measure) == VIRIDIS[0]


HOSTILE = (
    "</script><script>alert(1)</script>.py",
    '"><img src=x onerror=alert(1)>.py',
    "a'; touch pwned; '.py",
    "${alert(1)}{{script}}{{data}}.py",
    "evil\u202eyp.exe\x1b[31m\n.py",
    "-rf.py",
)


def made(*paths: str) -> Survey:
    places = (MeasuredPlace(9, 0.8, 0.25, 12, "b.py:3"), MeasuredPlace(40, 0.4, 0.75, 12, ""))
    files = tuple(MeasuredFile(path, "python", 10 + number, places) for number, path in enumerate(sorted(paths)))
    return Survey("shop", files, 2, 0, 3, 200)


class Reader(HTMLParser):
    """What a browser would make of a page: tags with their attributes, and the text of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script" and self.scripts:
            self.scripts[-1] += data

    def having(self, key: str) -> Iterator[dict[str, str | None]]:
        return (attributes for _, attributes in self.tags if key in attributes)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_data(name: str) -> None:
    read = Reader(page(made(name, "b.py")))
    plain = Reader(page(made(re.sub("[^/]+", "a", name), "b.py")))
    # The page has the elements of a page with harmless names, and no others.
    assert [tag for tag, _ in read.tags] == [tag for tag, _ in plain.tags]
    assert len(read.scripts) == 2
    assert not list(read.having("onerror"))
    files = json.loads(read.scripts[0])["files"]
    assert printable(name) in [file["path"] for file in files]
    assert all(character.isprintable() for file in files for character in file["path"])


def test_a_command_to_paste_is_one_word_whatever_a_file_is_called() -> None:
    (file,) = json.loads(Reader(page(made("a'; touch pwned; '.py"))).scripts[0])["files"]
    assert file["places"][0]["ask"] == """vicinal complete 'a'"'"'; touch pwned; '"'"'.py:9' --explain"""
    (file,) = json.loads(Reader(page(made("-rf.py"))).scripts[0])["files"]
    assert file["places"][0]["ask"] == "vicinal complete ./-rf.py:9 --explain"


def test_a_page_loads_nothing_and_runs_its_own_script_only() -> None:
    text = page(made("a.py", "shop/b.py"))
    read = Reader(text)
    assert not [attributes for key in ("src", "href") for attributes in read.having(key)]
    assert "url(" not in text
    assert "@import" not in text
    policy = next(read.having("http-equiv"))["content"] or ""
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/]{43}='", policy)


def test_a_page_says_all_to_those_who_do_not_see_it() -> None:
    read = Reader(page(made("a.py", "shop/b.py")))
    tiles = [attributes for tag, attributes in read.tags if tag == "button" and attributes.get("class") == "tile"]
    assert sorted(tile["aria-label"] or "" for tile in tiles) == [
        "a.py, python, 10 lines, 2 places measured",
        "shop/b.py, python, 11 lines, 2 places measured",
    ]
    assert all(attributes.get("aria-label") for attributes in read.having("role") if attributes["role"] == "group")


def test_the_least_known_files_can_be_told_from_those_not_measured() -> None:
    found = made("a.py", "b.py")
    found = replace(found, files=(found.files[0], replace(found.files[1], places=())))
    text = page(found)
    assert "not measured" in text
    assert png(found, "coverage")
    assert overall(found.files, "coverage") == pytest.approx(0.5)
    assert overall(found.files[1:], "coverage") is None
    assert [place.line for place in found.files[0].worst("irreducible")] == [9, 40]
    assert [place.line for place in found.files[0].worst("coverage")] == [9, 40]


@pytest.mark.parametrize("measure", ["irreducible", "coverage"])
def test_a_picture_is_a_png_in_the_measures_colours(measure: str) -> None:
    found = made("a.py", "shop/b.py", *HOSTILE)
    image = Image.open(BytesIO(png(found, "irreducible" if measure == "irreducible" else "coverage")))
    assert (image.format, image.size) == ("PNG", (WIDTH, HEIGHT))
    value = 0.6 if measure == "irreducible" else 0.5
    expected = colour_of(value, "irreducible" if measure == "irreducible" else "coverage")
    counted = {colour: count for count, colour in image.convert("RGB").getcolors(1 << 24) or []}
    assert counted[expected] > WIDTH * HEIGHT // 2


def test_without_pillow_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ExtraMissing) as failed:
        png(made("a.py"), "irreducible")
    assert "vicinal[pictures]" in failed.value.hint


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    flags = {"index.data_dir": tmp_path / "data", "prompt.context_tokens": 64, "index.candidates": 50}
    return config.load(None, flags, {}, tmp_path / "no-settings.toml")


ALIEN = "\n".join(
    f"zebra_{a} = quagga({b!r}, okapi_{a})" for a, b in enumerate("lorem ipsum dolor sit amet elit".split())
)


@pytest.fixture
def index(shop: Path, settings: Settings) -> Iterator[RepositoryIndex]:
    (shop / "alien.py").write_text(ALIEN + "\n")
    (shop / "README.md").write_text("# Shop\n\nIt sells things.\n")
    (shop / "empty.py").write_text("\n")
    (shop / "one.py").write_text("x = 1")
    with RepositoryIndex.open(shop, settings.index.data_dir) as opened:
        opened.sync()
        yield opened


def test_code_that_is_written_alike_is_known_and_alien_code_is_not(index: RepositoryIndex, settings: Settings) -> None:
    chosen = plan(dict(index.texts()), 40, 0)
    assert chosen.left_out >= 1
    assert "README.md" not in chosen.texts
    seen: list[tuple[int, int]] = []
    found = survey(index, chosen, settings, lambda done, total: seen.append((done, total)))
    assert seen == [(done, chosen.places) for done in range(chosen.places + 1)]
    values = {file.path: file for file in found.files}
    alien, payment = values["alien.py"], values["payment.py"]
    assert (payment.language, payment.lines) == ("python", 8)
    (strange,), (alike,) = alien.places, payment.places
    assert strange.irreducible > 0.8 > alike.irreducible
    assert strange.coverage < 0.3 < alike.coverage
    assert alike.nearest.split(":")[0] in values.keys() - {"payment.py"}
    assert values["one.py"].places == ()
    assert values["one.py"].value("irreducible") is None
    again = survey(index, plan(dict(index.texts()), 40, 0), settings)
    assert again == found


def test_a_place_learns_nothing_from_itself(index: RepositoryIndex, settings: Settings) -> None:
    texts = dict(index.texts())
    for path, lines in plan(texts, 40, 0).lines.items():
        for line in lines:
            for chunk in find_candidates(index, words, target_at(path, texts[path], line), settings):
                assert chunk.path != path or chunk.start_line > line + HIDDEN_LINES - 1 or chunk.end_line < line


def test_the_json_of_a_survey_has_every_number(index: RepositoryIndex, settings: Settings) -> None:
    found = survey(index, plan(dict(index.texts()), 5, 0), settings)
    told = json.loads(json.dumps(found.to_json()))
    assert told["places"] == sum(len(file["places"]) for file in told["files"]) <= 5
    assert {"irreducible", "coverage", "steps", "nearest", "line"} == set(
        next(file for file in told["files"] if file["places"])["places"][0]
    )
    assert 0 <= told["irreducible"] <= 1
    assert "bits" not in told


def test_the_model_reads_as_many_places_as_it_may(
    index: RepositoryIndex, settings: Settings, tiny_model_dir: Path
) -> None:
    texts = dict(index.texts())
    engine = TransformersEngine(tiny_model_dir, "cpu", "tiny")
    found = with_bits(survey(index, plan(texts, 20, 0), settings), texts, index, engine, settings, 2)
    bits = [place.bits for file in found.files for place in file.places if place.bits is not None]
    assert len(bits) == 2
    assert min(bits) > 0
    assert found.measures[-1] == "bits"
    assert "Bits per byte" in page(found, "bits")
    assert found.to_json()["model"] == "tiny"


def test_what_counts_as_code() -> None:
    assert is_code("a.py", "")
    assert is_code("run", "#!/usr/bin/env python3\n")
    assert not is_code("LICENSE", "All rights reserved")
    assert not is_code("package.json", "{}")
