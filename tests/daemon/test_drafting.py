"""What is guessed ahead saves readings and changes nothing of what is written."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vicinal_daemon.generate.decode import Logits
from vicinal_daemon.generate.drafting import MOST, Drafting, pieces
from vicinal_daemon.generate.engine import READ_AT_ONCE, Engine, Generated, Recall
from vicinal_daemon.generate.llama import LlamaEngine
from vicinal_daemon.generate.prompt import Prompt
from vicinal_daemon.generate.remembered import Remembered
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.memory import Gate
from vicinal_daemon.memory.gate import GATE_FEATURES, MATCH_FEATURES
from vicinal_daemon.models.tiny import write_tiny_gguf, write_tiny_model

VOCABULARY = 6


def model(text: Sequence[int]) -> Logits:
    """Some logits for each text, always the same."""
    return np.random.default_rng([VOCABULARY, *text]).normal(size=VOCABULARY).astype(np.float32)


class Reading:
    """A reader with that model; counts how often it reads."""

    def __init__(self, can_unread: bool = True) -> None:
        self.tokens: list[int] = []
        self.readings = 0
        self.can_unread = can_unread

    def read(self, piece: list[int], wanted: int) -> Logits:
        self.tokens += piece
        self.readings += 1
        return np.stack([model(self.tokens[: len(self.tokens) - back]) for back in reversed(range(wanted))])

    def unread(self, count: int) -> None:
        assert self.can_unread
        assert 0 < count < len(self.tokens)
        del self.tokens[-count:]


@given(
    prompt=st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=4),
    wishes=st.lists(st.lists(st.sampled_from(["right", "wrong"]), max_size=MOST), min_size=1, max_size=5),
    steps=st.integers(1, 12),
)
def test_every_token_is_judged_as_if_it_had_been_read_alone(
    prompt: list[int], wishes: list[list[str]], steps: int
) -> None:
    """Guesses that are right up to some token, wrong then, or right again behind a wrong one."""
    asked = iter(range(1000))

    def guess(said: Sequence[int], most: int) -> list[int]:
        text = list(said)
        for wish in wishes[next(asked) % len(wishes)][:most]:
            best = int(model(text).argmax())
            text.append(best if wish == "right" else (best + 1) % VOCABULARY)
        return text[len(said) :]

    reader = Reading()
    drafting = Drafting(lambda tokens: reader, guess)
    said, unread = list(prompt), list(prompt)
    for _ in range(steps):
        logits = drafting(unread)
        assert logits is not None
        assert np.array_equal(logits, model(said))
        unread = [int(logits.argmax())]
        said += unread
    assert reader.tokens[: len(said) - 1] == said[:-1]
    told = drafting.told(Generated("", (), (), len(prompt)))
    assert (reader.readings, told.read_tokens) == (steps - told.guessed, len(prompt))


def test_nothing_is_guessed_behind_the_end_of_a_line_or_by_a_reader_that_cannot_go_back() -> None:
    reader = Reading()
    Drafting(lambda tokens: reader, lambda said, most: [1, 2, 3, 4], lasts={2})([0])
    assert reader.tokens == [0, 1, 2]
    reader = Reading(can_unread=False)
    Drafting(lambda tokens: reader, lambda said, most: [1, 2])([0])
    assert reader.tokens == [0]


@given(count=st.integers(1, 4 * READ_AT_ONCE), wanted=st.integers(1, MOST + 1))
def test_pieces_are_the_whole_and_the_last_has_what_is_wanted(count: int, wanted: int) -> None:
    tokens = list(range(max(count, wanted)))
    found = list(pieces(tokens, wanted))
    assert [token for piece in found for token in piece] == tokens
    assert all(len(piece) == READ_AT_ONCE for piece in found[:-1])
    assert wanted <= len(found[-1]) <= READ_AT_ONCE + MOST


FILE = "def total(items):\n    return sum(items)\n\n\ndef mean(items):\n    return total(items) / len(items)\n"
TYPED = "import shop\n\n\ndef total(items):\n    ret"


class Counting:
    """A memory, and how many tokens it guessed."""

    def __init__(self, memory: Recall, most: int) -> None:
        self.mix = memory.mix
        self._memory, self._most = memory, most
        self.guessed = 0

    def guess(self, context: Sequence[int], most: int) -> list[int]:
        found = list(self._memory.guess(context, min(most, self._most)))
        self.guessed += len(found)
        return found


@pytest.fixture(scope="module", params=["torch", "llama"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tmp_path_factory.mktemp("drafting")
    model = write_tiny_model(folder / "model")
    torch = TransformersEngine(model, "cpu")
    if request.param == "torch":
        return torch
    pytest.importorskip("llama_cpp", reason="the extra vicinal[llama] is not installed")
    gguf = write_tiny_gguf(folder / "model.gguf", model)
    return LlamaEngine(gguf, model, "tiny", torch.codec, 1, folder / "layout.json")


def written(engine: Engine, text: str, most: int, under: str, gate: Gate | None = None) -> tuple[Generated, Counting]:
    assert isinstance(engine, (TransformersEngine, LlamaEngine))
    remembered = Remembered(engine.codec, gate)
    remembered.update({"shop.py": FILE})
    memory = Counting(remembered.at("open.py", text, ""), most)
    prompt = Prompt(text, (0, len(text)))
    made = engine.generate_under(under, prompt, lambda said: "\n\n" in said, max_tokens=24, memory=memory)
    return made, memory


@settings(max_examples=12, deadline=None)
@given(cut=st.integers(12, len(TYPED)), most=st.integers(1, MOST))
def test_an_engine_writes_the_same_with_guesses(engine: Engine, cut: int, most: int) -> None:
    plain, _ = written(engine, TYPED[:cut], 0, "plain")
    guessing, memory = written(engine, TYPED[:cut], most, "guessing")  # what was guessed wrong before is not in the way
    assert plain.guessed == 0
    assert guessing.guessed <= memory.guessed
    assert guessing.text == plain.text
    assert guessing.log_probabilities == pytest.approx(plain.log_probabilities, abs=2e-2)


def test_what_the_memory_is_believed_in_is_guessed(engine: Engine) -> None:
    trusting = Gate((1.0,) * len(MATCH_FEATURES), (10.0, *(0.0,) * (len(GATE_FEATURES) - 1)))
    made, _ = written(engine, TYPED, MOST, "trusting", trusting)
    assert made.text.startswith("urn sum(items)\n")
    assert made.guessed > made.tokens / 3
