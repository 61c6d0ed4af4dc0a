"""A repository as tokens: what is tokenised, what is kept, and what the work bench writes with it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicinal_daemon.generate import remembered
from vicinal_daemon.generate.codec import Codec
from vicinal_daemon.generate.remembered import Remembered
from vicinal_daemon.memory import Gate
from vicinal_daemon.memory.gate import GATE_FEATURES, MATCH_FEATURES
from vicinal_daemon.target import Target
from vicinal_daemon.worker.bench import Bench
from vicinal_daemon.worker.messages import Load, Memorised, PromptShape, Remember, Write, Written
from vicinal_daemon.worker.remembering import MOST_WORKSPACES

TRUSTING = Gate((1.0,) * len(MATCH_FEATURES), (10.0, *(0.0,) * (len(GATE_FEATURES) - 1)))
"""Believes the memory whenever it says anything."""

LEFT = "import shop\n\n\ndef voucher(order):\n    return "
LINE = "shop.sealed_receipt(order)"
ELSEWHERE = f"def refund(order):\n    return {LINE}\n\n\ndef other():\n    pass\n"


@pytest.fixture(scope="module")
def codec(tiny_model_dir: Path) -> "Counting":
    return Counting(tiny_model_dir)


class Counting(Codec):
    """A real tokenizer that remembers what it was given."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.seen: list[str] = []

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        self.seen += texts
        return super().ids(texts)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), max_size=5))
def test_many_texts_at_once_have_the_tokens_of_each(codec: Codec, texts: list[str]) -> None:
    assert codec.ids(texts) == [codec.encode(text)[0] for text in texts]


def test_only_what_is_new_is_tokenised(codec: Counting) -> None:
    memory = Remembered(codec)
    memory.update({"a.py": "a = 1\n", "b.py": "b = 2\n"})
    codec.seen.clear()
    memory.change({"b.py": "b = 3\n", "copy.py": "a = 1\n"})
    memory.update({"a.py": "a = 1\n", "moved.py": "b = 3\n"})
    assert codec.seen == ["b = 3\n"]
    assert memory.files == 2


PATHS = st.sampled_from(["a.py", "b.py", "c.py"])
TEXTS = st.sampled_from(["x = 1\n", "x = 2\n", "def f():\n    return x\n"])


@given(st.lists(st.tuples(st.dictionaries(PATHS, TEXTS), st.sets(PATHS)), max_size=4))
def test_changes_one_by_one_come_to_the_same_as_all_at_once(
    codec: Codec, changes: list[tuple[dict[str, str], set[str]]]
) -> None:
    one_by_one, files = Remembered(codec), dict[str, str]()
    for replaced, dropped in changes:
        one_by_one.change(replaced, dropped)
        files = {path: text for path, text in files.items() if path not in dropped} | replaced
    at_once = Remembered(codec)
    at_once.update(dict(sorted(files.items())))
    assert (one_by_one.files, one_by_one.tokens) == (at_once.files, at_once.tokens) == (len(files), at_once.tokens)
    context = codec.ids(["def f():\n    return"])[0]
    told, expected = (memory.at("z.py", "x", "").recall(context) for memory in (one_by_one, at_once))
    assert all(np.array_equal(one, other) for one, other in zip(told, expected, strict=True))


def test_what_there_is_no_room_for_is_left_out(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MOST_CHARACTERS", 20)
    memory = Remembered(codec)
    memory.update({"a.py": "a" * 12, "b.py": "b" * 9, "c.py": "c"})
    assert memory.files == 1
    memory.change({"d.py": "d" * 8})
    assert memory.files == 2
    memory.change({"a.py": "a" * 13})  # what is known of it would be wrong
    assert memory.files == 1


def test_of_a_long_open_file_the_text_around_the_cursor_is_used(
    codec: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "OPEN_CHARACTERS", 5)
    monkeypatch.setattr(remembered, "STABLE_CHARACTERS", 1)
    codec.seen.clear()
    Remembered(codec).at("a.py", "0123456789", "abcdefghij")
    assert codec.seen == ["", "56789", "abcde"]


def test_of_the_open_file_what_is_far_from_the_cursor_is_not_tokenised_again(
    codec: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "STABLE_CHARACTERS", 16)
    memory = Remembered(codec)
    left = "def first():\n    pass\n\n\ndef second():\n    retu"
    memory.at("a.py", left, "\n")
    codec.seen.clear()
    memory.at("a.py", left + "r", "\n")
    assert codec.seen == ["def second():\n    retur"]


@pytest.fixture
def bench(tiny_model_dir: Path) -> Bench:
    made = Bench(TRUSTING)
    made.do(Load(tiny_model_dir, None, "tiny", "transformers", "cpu", 0.33))
    return made


def write(memory: str | None, unremembered: tuple[str, ...] = (), left: str = LEFT, alternatives: int = 0) -> Write:
    target = Target("voucher.py", left, "", "", left.count("\n") + 1, 12, 1)
    shape = PromptShape(target, (), 200, 50)
    return Write(shape, None, 1, 40, alternatives=alternatives, memory=memory, unremembered=unremembered)


def text_of(bench: Bench, unit: Write) -> str:
    said = bench.do(unit)
    assert isinstance(said, Written)
    return said.text


def memorised(bench: Bench, unit: Remember) -> Memorised:
    said = bench.do(unit)
    assert isinstance(said, Memorised)
    return said


def test_what_stands_elsewhere_in_the_repository_is_written(bench: Bench) -> None:
    said = memorised(bench, Remember("/shop", (("refund.py", ELSEWHERE),)))
    assert said.tokens > 0
    assert said.workspaces == ("/shop",)
    assert text_of(bench, write("/shop")) == LINE
    for stranger in (write(None), write("/another"), write("/shop", unremembered=("refund.py",))):
        assert LINE not in text_of(bench, stranger)


def test_alternatives_are_written_with_it_too(bench: Bench) -> None:
    other = ELSEWHERE.replace("shop.sealed_receipt", "self.sealed_receipt")
    memorised(bench, Remember("/shop", (("refund.py", ELSEWHERE), ("zebra.py", other))))
    said = bench.do(write("/shop", alternatives=1))
    assert isinstance(said, Written)
    assert {said.text, *(found.text for found in said.alternatives)} == {LINE, LINE.replace("shop", "self")}


def test_a_replaced_text_and_a_dropped_file_are_forgotten(bench: Bench) -> None:
    memorised(bench, Remember("/shop", (("refund.py", ELSEWHERE),)))
    memorised(bench, Remember("/shop", (("refund.py", ELSEWHERE.replace("sealed", "signed")),)))
    assert text_of(bench, write("/shop")) == LINE.replace("sealed", "signed")
    said = memorised(bench, Remember("/shop", (), ("refund.py",)))
    assert said == Memorised(0, ())
    assert "receipt" not in text_of(bench, write("/shop"))


def test_the_open_file_is_remembered_from_the_request_alone(bench: Bench) -> None:
    memorised(bench, Remember("/shop", (("voucher.py", ELSEWHERE),)))
    assert LINE not in text_of(bench, write("/shop"))
    assert text_of(bench, write("", left=ELSEWHERE + LEFT)) == LINE


def test_the_repository_that_was_longest_not_written_in_gives_way(bench: Bench) -> None:
    for number in range(MOST_WORKSPACES):
        memorised(bench, Remember(f"/{number}", (("refund.py", ELSEWHERE),)))
    text_of(bench, write("/0"))
    said = memorised(bench, Remember("/new", (("refund.py", ELSEWHERE),)))
    assert len(said.workspaces) == MOST_WORKSPACES
    assert "/0" in said.workspaces
    assert "/1" not in said.workspaces


def test_a_memory_changes_nothing_for_those_who_write_without(bench: Bench) -> None:
    before = bench.do(write(None))
    memorised(bench, Remember("/shop", (("refund.py", ELSEWHERE),)))
    text_of(bench, write("/shop"))
    after = bench.do(write(None))
    assert isinstance(before, Written)
    assert isinstance(after, Written)

    assert after.log_probabilities == pytest.approx(before.log_probabilities, abs=1e-4)
    assert after.text == before.text
