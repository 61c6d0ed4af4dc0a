"""The token-level memory: longest matches, and what is mixed into the model's distribution."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicinal_daemon.memory import Gate, Memory, TokenStore, default_gate
from vicinal_daemon.memory.gate import GATE_FEATURES, MATCH_FEATURES
from vicinal_daemon.memory.memory import LEAST
from vicinal_daemon.memory.store import LONGEST

VOCABULARY = 5
tokens = st.lists(st.integers(0, VOCABULARY - 1), max_size=30)
TRUSTING = Gate((1.0,) * len(MATCH_FEATURES), (10.0, *(0.0,) * (len(GATE_FEATURES) - 1)))
"""Believes the memory whenever it says anything."""


def flat() -> np.ndarray:
    return np.full(VOCABULARY, -np.log(VOCABULARY), np.float32)


def array(values: list[int]) -> np.ndarray:
    return np.array(values, np.int32)


def by_hand(passages: dict[str, list[int]], context: list[int]) -> list[tuple[int, int, str, int]]:
    """(length, token that followed, passage, its offset) of every place where the last token of the context stands."""
    found = []
    for name, passage in passages.items():
        for at in range(1, len(passage)):
            length = 0
            while length < min(at, len(context), LONGEST) and passage[at - 1 - length] == context[-1 - length]:
                length += 1
            if length:
                found.append((length, passage[at], name, at))
    return found


@given(st.dictionaries(st.sampled_from("abc"), tokens), tokens)
def test_the_longest_matches_are_found(passages: dict[str, list[int]], context: list[int]) -> None:
    store = TokenStore(passages)
    found = store.matches(context, most=1000)
    told = [
        (int(n), int(t), store.names[p], int(o))
        for n, t, p, o in zip(found.lengths, found.tokens, found.passages, found.offsets, strict=True)
    ]
    assert sorted(told) == sorted(by_hand(passages, context))
    assert [n for n, *_ in told] == sorted((n for n, *_ in told), reverse=True)
    few = store.matches(context, most=2)
    assert list(few.lengths) == [n for n, *_ in told[:2]]


@given(st.dictionaries(st.sampled_from("abc"), tokens), tokens)
def test_a_passage_can_be_left_out(passages: dict[str, list[int]], context: list[int]) -> None:
    others = {name: passage for name, passage in passages.items() if name != "a"}
    found = TokenStore(passages).matches(context, most=1000, without={"a"})
    assert sorted(map(int, found.lengths)) == sorted(n for n, *_ in by_hand(others, context))


@given(st.dictionaries(st.sampled_from(["a.py", "b.py"]), tokens), tokens, tokens, tokens, st.data())
def test_the_mixture_is_a_distribution_over_what_is_allowed(
    passages: dict[str, list[int]], left: list[int], right: list[int], context: list[int], data: st.DataObject
) -> None:
    logits = np.array(data.draw(st.lists(st.floats(-5, 5), min_size=VOCABULARY, max_size=VOCABULARY)), np.float32)
    logits[data.draw(st.integers(0, VOCABULARY - 1))] = -np.inf
    model = logits - np.log(np.exp(logits).sum())
    memory = Memory(TokenStore(passages), "a.py", array(left), array(right), default_gate())
    mixture = memory.mix(context, model)
    assert np.exp(mixture).sum() == pytest.approx(1.0, abs=1e-4)
    assert np.array_equal(np.isfinite(mixture), np.isfinite(model))


def test_without_a_match_the_model_speaks() -> None:
    memory = Memory(TokenStore({}), "a.py", array([]), array([]), TRUSTING)
    assert np.allclose(memory.mix([1, 2], flat()), flat(), atol=1e-6)


def test_what_followed_elsewhere_becomes_likely() -> None:
    memory = Memory(TokenStore({"b.py": [1, 2, 3]}), "a.py", array([]), array([]), TRUSTING)
    assert int(memory.mix([1, 2], flat()).argmax()) == 3


def test_what_the_index_holds_of_the_open_file_is_not_used() -> None:
    memory = Memory(TokenStore({"a.py": [1, 2, 3]}), "a.py", array([]), array([]), TRUSTING)
    assert np.allclose(memory.mix([1, 2], flat()), flat(), atol=1e-6)


def test_both_sides_of_the_cursor_are_remembered() -> None:
    memory = Memory(TokenStore({}), "a.py", array([1, 2, 3]), array([4, 0, 1]), TRUSTING)
    assert int(memory.mix([1, 2], flat()).argmax()) == 3
    assert int(memory.mix([4, 0], flat()).argmax()) == 1


def test_a_gate_has_a_weight_for_each_feature() -> None:
    with pytest.raises(ValueError, match="other weights than features"):
        Gate((1.0,), (1.0,))


@pytest.fixture(scope="module")
def fitting() -> dict[str, Any]:
    """The benchmark that fits the gate."""
    return runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "gate.py"))


@given(st.dictionaries(st.sampled_from(["b.py", "c.go"]), tokens), tokens, tokens, st.data())
def test_what_is_fitted_is_what_the_product_computes(
    fitting: dict[str, Any], passages: dict[str, list[int]], left: list[int], context: list[int], data: st.DataObject
) -> None:
    logits = np.array(data.draw(st.lists(st.floats(-5, 5), min_size=VOCABULARY, max_size=VOCABULARY)), np.float32)
    model = logits - np.log(np.exp(logits).sum())
    gate = default_gate()
    memory = Memory(TokenStore(passages), "a.py", array(left), array([]), gate)
    truth = data.draw(st.integers(0, VOCABULARY - 1))
    recorder = fitting["Recorder"](memory, "in-file")
    recorder.mix([0, *context], model)
    recorder.finish(truth)
    assert fitting["nats"](recorder.examples, gate) == pytest.approx(-memory.mix([0, *context], model)[truth], abs=1e-4)


@given(st.dictionaries(st.sampled_from("abc"), tokens), tokens, st.integers(1, 4))
def test_a_guess_is_what_followed_on_one_of_the_longest_matches(
    passages: dict[str, list[int]], context: list[int], most: int
) -> None:
    memory = Memory(TokenStore(passages), "open", array([]), array([]), TRUSTING)
    guess = memory.guess(context, most)
    found = by_hand(passages, context)
    longest = max((length for length, *_ in found), default=0)
    if longest < LEAST:
        assert guess == []
        return
    followed = [passages[name][at : at + min(most, longest)] for length, _, name, at in found if length == longest]
    assert guess in followed


def test_both_sides_of_the_cursor_are_guessed_from() -> None:
    memory = Memory(TokenStore({}), "open", array([1, 2, 3]), array([3, 4, 0]), TRUSTING)
    assert memory.guess([1, 2], 8) == [3]
    assert memory.guess([3, 4], 8) == [0]
    assert memory.guess([4], 8) == []
