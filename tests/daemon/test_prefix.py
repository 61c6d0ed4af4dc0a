"""What was read before is not read again, and never under another adapter."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from transformers.cache_utils import DynamicCache, DynamicSlidingWindowLayer

from vicinal_daemon.generate.engine import READ_AT_ONCE, Generated
from vicinal_daemon.generate.prefix import KEPT, Prefixes, common
from vicinal_daemon.generate.prompt import Prompt
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.tune.run import TuningSettings
from vicinal_daemon.tune.tuner import tune
from vicinal_daemon.tune.wardrobe import Wardrobe

TEXT = "def total(items):\n    return sum(items)\n\n\ndef mean(items):\n    return total(items) / len(items)\n"
LONG = TEXT * 16


@pytest.fixture(scope="module")
def engine(tiny_model_dir: Path) -> TransformersEngine:
    return TransformersEngine(tiny_model_dir, "cpu")


@pytest.fixture(autouse=True)
def _nothing_read(engine: TransformersEngine) -> None:
    engine.prefixes.forget()


def prompt(text: str) -> Prompt:
    return Prompt(text, (0, len(text)), heals=False)


def say(
    engine: TransformersEngine,
    under: str | None,
    text: str,
    cancelled: Callable[[], bool] = lambda: False,
    lender: str | None = None,
) -> Generated:
    return engine.generate_under(
        under, prompt(text), lambda text: False, max_tokens=8, cancelled=cancelled, lender=lender
    )


def assert_same(one: Generated, other: Generated) -> None:
    assert one.text == other.text
    assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-4)


def test_a_prompt_that_grows_is_read_from_where_it_grew(engine: TransformersEngine) -> None:
    typed = TEXT
    for more in ("x", " = mean", "([1, 2])\n", "print(x)\n"):
        before, typed = typed, typed + more
        say(engine, "base", before)
        again = say(engine, "base", typed)
        shared = common(engine.codec.encode(before)[0], engine.codec.encode(typed)[0])
        assert again.read_tokens <= again.prompt_tokens - shared
        assert_same(again, say(engine, None, typed))


def test_what_was_written_and_accepted_is_known_too(engine: TransformersEngine) -> None:
    first = say(engine, "base", TEXT)
    after = say(engine, "base", TEXT + first.text)
    assert after.read_tokens < after.prompt_tokens - first.prompt_tokens


def test_the_last_token_is_read_anew(engine: TransformersEngine) -> None:
    first, again = say(engine, "base", TEXT), say(engine, "base", TEXT)
    assert (first.read_tokens, again.read_tokens) == (first.prompt_tokens, 1)
    assert_same(again, first)


def test_a_change_in_the_middle_keeps_what_stands_before_it(engine: TransformersEngine) -> None:
    say(engine, "base", TEXT)
    changed = TEXT.replace("mean", "average")
    again = say(engine, "base", changed)
    assert 1 < again.read_tokens < again.prompt_tokens
    assert_same(again, say(engine, None, changed))


def test_nothing_is_reused_under_another_adapter(engine: TransformersEngine) -> None:
    settings = TuningSettings(rank=4, learning_rate=0.02, max_tokens=64, guard=False, seed=0)
    adapter = tune(engine, [TEXT] * 4, prompt(TEXT), settings).adapter
    assert adapter is not None
    with Wardrobe(engine) as wardrobe:
        with wardrobe.wearing(adapter):
            alone = say(engine, None, TEXT)
        base = say(engine, "base", TEXT)
        assert alone.log_probabilities != pytest.approx(base.log_probabilities, abs=1e-2)
        with wardrobe.wearing(adapter):
            worn = say(engine, "adapter 1", TEXT)
        assert worn.read_tokens == worn.prompt_tokens
        assert_same(worn, alone)
        assert_same(say(engine, "base", TEXT), base)
        with wardrobe.wearing(adapter):
            again = say(engine, "adapter 1", TEXT)
        assert again.read_tokens == 1
        assert_same(again, alone)


def test_what_the_trunk_made_of_a_prompt_is_lent_to_an_adapter_above_it(engine: TransformersEngine) -> None:
    settings = TuningSettings(rank=4, learning_rate=0.02, max_tokens=64, guard=False, seed=0)
    adapter = tune(engine, [TEXT] * 4, prompt(TEXT), settings).adapter
    end = len(TEXT) // 2
    with Wardrobe(engine) as wardrobe:
        base = say(engine, "base", TEXT)
        with wardrobe.wearing(adapter):
            alone, scored = say(engine, None, TEXT), engine.score(TEXT, end)
            lent = say(engine, "adapter 1", TEXT, lender="base")
            lent_scores = engine.score_under("adapter 2", TEXT, end, lender="base")
            # Also where the lender has read only the beginning, and what was lent is read on.
            longer = say(engine, "adapter 3", TEXT + TEXT, lender="base")
            assert_same(longer, say(engine, None, TEXT + TEXT))
            assert_same(say(engine, "adapter 3", TEXT + TEXT), longer)
    assert lent.read_tokens == 1 < alone.read_tokens
    assert_same(lent, alone)
    assert lent_scores.spans == scored.spans
    assert lent_scores.log_probabilities == pytest.approx(scored.log_probabilities, abs=1e-4)
    assert_same(say(engine, "base", TEXT), base)


def test_an_adapter_that_touches_the_trunk_borrows_nothing(engine: TransformersEngine) -> None:
    """Nor does one above it that is worn afterwards see anything of it."""
    upper = TuningSettings(rank=4, learning_rate=0.02, max_tokens=64, guard=False, seed=0)
    adapters = [
        tune(engine, [TEXT] * 4, prompt(TEXT), settings).adapter for settings in (replace(upper, depth=1.0), upper)
    ]
    assert engine.trunk is not None
    assert [adapter.first for adapter in adapters if adapter] == [0, engine.trunk.first]
    with Wardrobe(engine) as wardrobe:
        base = say(engine, "base", TEXT)
        for number, adapter in enumerate(adapters):
            with wardrobe.wearing(adapter):
                worn = say(engine, f"adapter {number}", TEXT, lender="base")
                again = engine.score_again(TEXT, 0)
                alone, scored = say(engine, None, TEXT), engine.score(TEXT, 0)
            assert (worn.read_tokens == 1) == (number == 1)
            assert_same(worn, alone)
            assert again.log_probabilities == pytest.approx(scored.log_probabilities, abs=1e-4)
        assert_same(say(engine, "base", TEXT), base)


def test_who_has_read_nothing_like_it_lends_nothing(engine: TransformersEngine) -> None:
    assert say(engine, "adapter 1", TEXT, lender="base").read_tokens == say(engine, None, TEXT).read_tokens


def test_without_a_name_nothing_is_kept(engine: TransformersEngine) -> None:
    say(engine, None, TEXT)
    assert say(engine, None, TEXT).read_tokens > 1
    assert say(engine, "base", TEXT).read_tokens > 1


def test_only_the_last_prompts_are_kept(engine: TransformersEngine) -> None:
    names = [f"adapter {n}" for n in range(KEPT + 1)]
    for name in names:
        say(engine, name, TEXT)
    assert [say(engine, name, TEXT).read_tokens == 1 for name in reversed(names[1:])] == [True] * KEPT
    assert say(engine, names[0], TEXT).read_tokens > 1


def test_two_documents_in_turn_are_both_known(engine: TransformersEngine) -> None:
    other = "# other\n" + TEXT.upper()
    say(engine, "base", TEXT)
    say(engine, "base", other)
    assert say(engine, "base", TEXT).read_tokens == 1
    assert say(engine, "base", other).read_tokens == 1


def test_what_is_forgotten_is_read_again(engine: TransformersEngine) -> None:
    say(engine, "adapter 1", TEXT)
    say(engine, "adapter 2", TEXT)
    engine.prefixes.forget("adapter 1")
    assert say(engine, "adapter 1", TEXT).read_tokens > 1
    assert say(engine, "adapter 2", TEXT).read_tokens == 1


def test_a_long_prompt_is_read_in_pieces_and_left_at_one(engine: TransformersEngine) -> None:
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > 2  # before the first piece, before the second; not before the third

    cut = say(engine, "base", LONG, cancelled)
    assert cut.prompt_tokens > 2 * READ_AT_ONCE
    assert (cut.text, cut.finished, cut.read_tokens) == ("", False, 2 * READ_AT_ONCE)
    # What was read is not lost.
    rest = say(engine, "base", LONG)
    assert rest.read_tokens == rest.prompt_tokens - cut.read_tokens
    assert_same(rest, say(engine, None, LONG))


def test_a_cache_that_cannot_be_cut_back_is_not_kept() -> None:
    prefixes, cache = Prefixes(), DynamicCache()
    cache.layers = [DynamicSlidingWindowLayer(8)]
    prefixes.keep("base", [1, 2, 3], cache)
    assert prefixes.find("base", [1, 2, 3]).count == 0


def test_nothing_in_common_is_nothing_known() -> None:
    prefixes = Prefixes()
    prefixes.keep("base", [1, 2, 3], DynamicCache())
    assert prefixes.find("base", [4, 2, 3]).count == 0
    assert prefixes.find("other", [1, 2, 3]).count == 0
    assert prefixes.find("base", [1]).count == 0
