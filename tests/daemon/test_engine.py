"""The torch engine on a small real model: scoring, greedy decoding, healing, cancelling."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vicinal_daemon.errors import ModelDamaged, ModelUnusable
from vicinal_daemon.generate.device import choose_device
from vicinal_daemon.generate.engine import READ_AT_ONCE
from vicinal_daemon.generate.prompt import Prompt
from vicinal_daemon.generate.transformers_engine import TransformersEngine

TEXT = "def total(items):\n    return sum(items)\n"


@pytest.fixture(scope="module")
def engine(tiny_model_dir: Path) -> TransformersEngine:
    return TransformersEngine(tiny_model_dir, "cpu")


def never(text: str) -> bool:
    return False


def prompt(text: str, *, heals: bool = True) -> Prompt:
    return Prompt(text, (0, len(text)), heals)


def test_scores_are_the_models_own_probabilities(engine: TransformersEngine) -> None:
    ids, spans = engine.codec.encode(TEXT)
    logits = engine.model(torch.tensor([ids])).logits[0].log_softmax(-1)
    expected = [float(logits[i - 1, ids[i]]) for i in range(1, len(ids))]
    scores = engine.score(TEXT, 0)
    assert scores.log_probabilities == pytest.approx(expected, abs=1e-4)
    assert scores.spans == tuple(spans[1:])


def test_scoring_a_tail_gives_the_same_numbers_as_scoring_it_all(engine: TransformersEngine) -> None:
    start = TEXT.index("return")
    tail = engine.score(TEXT, start)
    whole = engine.score(TEXT, 0)
    assert tail.log_probabilities == pytest.approx(whole.between(start, len(TEXT)), abs=1e-4)


@pytest.mark.parametrize("beyond", [0, 1, 2, 100])
def test_a_long_text_is_scored_piece_by_piece_as_at_once(engine: TransformersEngine, beyond: int) -> None:
    """Also where the last piece is the last token alone, of which nothing is scored."""
    spans = engine.codec.encode(TEXT * 80)[1]
    text = (TEXT * 80)[: spans[2 * READ_AT_ONCE + beyond][0]]
    ids, spans = engine.codec.encode(text)
    said = engine.model(torch.tensor([ids])).logits[0].log_softmax(-1)
    for first in (1, READ_AT_ONCE, READ_AT_ONCE + 1, len(ids) - 1):
        expected = [float(said[i - 1, ids[i]]) for i in range(first, len(ids))]
        for scores in (
            engine.score(text, spans[first][0]),
            engine.score_again(text, spans[first][0]),
            engine.score_under(None, text, spans[first][0], mix=lambda _, row: row),
        ):
            assert scores.log_probabilities == pytest.approx(expected, abs=1e-4)
            assert scores.spans == tuple(spans[first:])


def test_nothing_to_score_is_no_error(engine: TransformersEngine) -> None:
    assert engine.score(TEXT, len(TEXT)).log_probabilities == ()
    assert engine.score("", 0).log_probabilities == ()


def test_decoding_with_a_cache_is_decoding_without(engine: TransformersEngine) -> None:
    ids, _ = engine.codec.encode(TEXT)
    expected: list[int] = []
    with torch.inference_mode():
        for _ in range(6):
            expected.append(int(engine.model(torch.tensor([ids + expected])).logits[0, -1].argmax()))
    generated = engine.generate(prompt(TEXT, heals=False), never, max_tokens=6)
    text = b"".join(engine.codec.vocabulary.tokens[token] for token in expected)
    assert generated.text == text.decode(errors="ignore")
    assert all(value <= 0 for value in generated.log_probabilities)


class Insistent:
    """A memory that always says the same token, and has nine tenths of the mass for it."""

    def __init__(self, token: int) -> None:
        self._token = token

    def mix(self, context: Sequence[int], log_probabilities: NDArray[np.float32], /) -> NDArray[np.float32]:
        mixed = np.exp(log_probabilities) / 10
        mixed[self._token] += 0.9
        return np.log(mixed)

    def guess(self, context: Sequence[int], most: int, /) -> Sequence[int]:
        return ()


def test_without_the_memory_the_model_alone_is_told_of(engine: TransformersEngine) -> None:
    ids, _ = engine.codec.encode(TEXT)
    (token,) = engine.codec.encode(")")[0]
    with torch.inference_mode():
        logits = engine.model(torch.tensor([ids + [token] * 3])).logits[0, len(ids) - 1 : -1]
    alone = torch.log_softmax(logits.double(), -1)[:, token].tolist()
    said = engine.generate(prompt(TEXT, heals=False), never, max_tokens=3, memory=Insistent(token))
    assert said.text == ")))"
    assert said.shown_unmixed("))") == pytest.approx(alone[:2], abs=1e-3)
    assert said.shown("))") == pytest.approx([math.log(0.9 + math.exp(value) / 10) for value in alone[:2]], abs=1e-3)
    without = engine.generate(prompt(TEXT, heals=False), never, max_tokens=3)
    assert without.unmixed == without.log_probabilities


def test_healing_spells_the_end_of_the_prompt_again_and_shows_none_of_it(engine: TransformersEngine) -> None:
    generated = engine.generate(prompt("def total(items):\n    ret"), never, max_tokens=4)
    assert generated.prompt_tokens < len(engine.codec.encode("def total(items):\n    ret")[0])
    assert len(generated.log_probabilities) <= 4
    assert [end for _, end in generated.spans] == sorted(end for _, end in generated.spans)
    assert generated.spans == () or generated.spans[-1][1] == len(generated.text)


def test_the_mass_over_allowed_tokens_is_one(engine: TransformersEngine) -> None:
    """With a one-token budget on a healed prompt, p is relative to the tokens that fit the prefix."""
    generated = engine.generate(prompt("x = valu"), never, max_tokens=1)
    assert all(0 < math.exp(value) <= 1 for value in generated.log_probabilities)


def test_the_entropy_is_that_of_the_first_token_that_counts(engine: TransformersEngine) -> None:
    """Without healing and with one token wanted: the entropy of the model's own next token."""
    ids, _ = engine.codec.encode(TEXT)
    with torch.inference_mode():
        logits = engine.model(torch.tensor([ids])).logits[0, -1].double()
    p = torch.softmax(logits, -1)
    generated = engine.generate(prompt(TEXT, heals=False), never, max_tokens=3)
    assert generated.first_entropy == pytest.approx(float(-(p * p.log()).sum()), abs=1e-4)
    healed = engine.generate(prompt(TEXT), never, max_tokens=3)
    assert 0 <= healed.first_entropy < math.log(len(engine.codec.vocabulary.tokens))
    assert engine.generate(prompt(TEXT), never, max_tokens=3, cancelled=lambda: True).first_entropy == 0.0


def test_the_least_sure_token_is_one_of_those_shown(engine: TransformersEngine) -> None:
    generated = engine.generate(prompt(TEXT), never, max_tokens=6)
    for length in range(len(generated.text) + 1):
        shown = generated.text[:length]
        assert generated.least_sure(shown) in shown
    assert generated.least_sure("") == ""


def test_same_prompt_same_answer(engine: TransformersEngine) -> None:
    first, second = (engine.generate(prompt(TEXT), never, max_tokens=8) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("text", ["x = valu", "def total(items):\n    ret", "def total(items):\n    ", TEXT])
def test_ranks_vary_the_first_token_that_is_seen(engine: TransformersEngine, text: str) -> None:
    made = [engine.generate_under("ranks", prompt(text), never, max_tokens=6, rank=rank) for rank in range(4)]
    assert made[0].text == engine.generate(prompt(text), never, max_tokens=6).text
    others = made[1:]
    assert len({one.text[: one.spans[0][1]] for one in others}) == 3
    assert {one.prompt_tokens for one in made} == {made[0].prompt_tokens}


def test_a_better_rank_is_a_likelier_token(engine: TransformersEngine) -> None:
    made = [engine.generate(prompt(TEXT, heals=False), never, max_tokens=2, rank=rank) for rank in range(5)]
    likely = [one.log_probabilities[0] for one in made]
    assert likely == sorted(set(likely), reverse=True)


def test_generation_stops_within_one_token_of_being_cancelled(engine: TransformersEngine) -> None:
    asked = iter([False, False, True])
    generated = engine.generate(prompt(TEXT, heals=False), never, max_tokens=50, cancelled=lambda: next(asked))
    assert len(generated.log_probabilities) <= 2


def test_the_stop_rule_sees_the_text_and_ends_it(engine: TransformersEngine) -> None:
    seen: list[str] = []

    def stop(text: str) -> bool:
        seen.append(text)
        return len(seen) == 3

    generated = engine.generate(prompt(TEXT, heals=False), stop, max_tokens=50)
    assert len(seen) == 3
    assert generated.text.startswith(seen[-1])


def test_marks_for_fill_in_the_middle_are_found_and_become_single_tokens(tiny_fim_model_dir: Path) -> None:
    engine = TransformersEngine(tiny_fim_model_dir, "cpu")
    marks = engine.codec.fill_in_the_middle
    assert marks is not None
    ids, _ = engine.codec.encode(f"{marks.prefix}a{marks.suffix}b{marks.middle}")
    assert len(ids) == 5


def test_a_damaged_model_says_so(tiny_model_dir: Path, tmp_path: Path) -> None:
    for file in tiny_model_dir.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelDamaged, match="cannot be loaded"):
        TransformersEngine(tmp_path, "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device that the test needs absent")
def test_a_missing_device_is_an_error_not_a_fallback() -> None:
    with pytest.raises(ModelUnusable, match="cuda"):
        choose_device("cuda")
    assert choose_device("auto").type in {"cpu", "mps"}
