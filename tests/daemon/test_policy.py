"""What fits a budget: properties of the plan."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicinal_daemon.policy import SMALLEST_CONTEXT, WRITTEN_TOKENS, Costs, Plan, Ready, decide

COSTS = Costs(read=0.002, write=0.05, step=1.0, judge=2.0)
PICKS = [200, 200, 100, 50]


NOTHING = Ready()


def plan(budget: float | None, ready: Ready = NOTHING, costs: Costs = COSTS, steps: int = 8) -> Plan:
    return decide(budget, costs, ready, steps=steps, context_tokens=512, pick_tokens=PICKS)


def test_without_a_budget_everything_is_tuned_first() -> None:
    told = plan(None)
    assert (told.kind, told.steps, told.picks, told.behind) == ("fresh", 8, 4, False)


def test_an_adapter_for_this_selection_is_as_good_as_tuning() -> None:
    for budget in (None, 100.0, 0.1):
        told = plan(budget, Ready(exact=True))
        assert (told.kind, told.steps, told.behind) == ("cached", 0, False)


def test_all_steps_are_taken_if_they_fit_even_if_something_near_is_there() -> None:
    assert plan(60.0, Ready(near=True, warm=True)).kind == "fresh"


@pytest.mark.parametrize(
    ("ready", "kind"),
    [(Ready(near=True, warm=True), "cached"), (Ready(warm=True), "warm"), (Ready(), "base")],
)
def test_a_short_budget_takes_what_is_ready_and_tunes_behind(ready: Ready, kind: str) -> None:
    told = plan(3.0, ready)
    assert (told.kind, told.steps, told.behind) == (kind, 0, True)


def test_part_of_the_steps_are_better_than_none() -> None:
    told = plan(10.0)
    assert told.kind == "fresh"
    assert 0 < told.steps < 8
    assert told.behind


def test_what_was_never_measured_is_not_assumed_to_fit() -> None:
    assert plan(1000.0, costs=Costs()).kind == "base"
    assert plan(1000.0, costs=Costs(read=0.001, write=0.01)).behind


def test_without_steps_nothing_is_tuned() -> None:
    for budget in (None, 1.0):
        told = plan(budget, steps=0)
        assert (told.kind, told.steps, told.behind) == ("base", 0, False)


def test_a_prompt_that_is_mostly_known_is_not_shortened() -> None:
    short = decide(1.0, COSTS, Ready(exact=True), steps=8, context_tokens=512, pick_tokens=PICKS)
    known = decide(1.0, COSTS, Ready(exact=True), steps=8, context_tokens=512, pick_tokens=PICKS, unread=20)
    assert short.picks < 4
    assert (known.picks, known.context_tokens) == (4, 512)


@given(
    budget=st.floats(0.001, 100),
    read=st.floats(1e-5, 0.1),
    write=st.floats(1e-4, 1),
    step=st.floats(1e-3, 10),
    judge=st.floats(1e-3, 10),
    steps=st.integers(0, 50),
    context=st.integers(1, 4000),
    picks=st.lists(st.integers(1, 500), max_size=8),
)
def test_what_is_planned_fits_or_is_the_least_there_is(
    budget: float, read: float, write: float, step: float, judge: float, steps: int, context: int, picks: list[int]
) -> None:
    costs = Costs(read, write, step, judge)
    told = decide(budget, costs, NOTHING, steps=steps, context_tokens=context, pick_tokens=picks)
    reading = read * (told.context_tokens + sum(picks[: told.picks]))
    tuning = told.steps * step + (judge if told.steps else 0)
    least = told.picks == 0 and told.context_tokens <= max(SMALLEST_CONTEXT, 1) and told.steps == 0
    assert least or reading + tuning + write * WRITTEN_TOKENS <= budget + 1e-6
    assert 0 <= told.steps <= steps
    assert told.context_tokens <= context
    assert told.picks <= len(picks)
    assert told.behind == (0 <= told.steps < steps)


def test_a_prompt_that_the_engine_knows_is_not_cut_even_if_writing_alone_takes_too_long() -> None:
    slow = Costs(read=0.003, write=1.0)
    known, anew = (
        decide(0.3, slow, NOTHING, steps=0, context_tokens=512, pick_tokens=PICKS, unread=unread)
        for unread in (8, None)
    )
    assert (known.picks, known.context_tokens) == (len(PICKS), 512)
    assert anew.picks == 0
    assert anew.context_tokens < 512


def test_alternatives_are_written_as_far_as_there_is_time_for_them() -> None:
    costs = Costs(read=0.001, write=0.01)

    def many(budget: float | None, lines: int = 1) -> int:
        told = decide(budget, costs, NOTHING, steps=0, context_tokens=100, pick_tokens=[], lines=lines, alternatives=3)
        return told.alternatives

    assert many(None) == 3
    assert [many(budget) for budget in (0.1, 0.25, 0.4, 0.6, 5.0)] == [0, 0, 1, 2, 3]
    assert many(0.6, lines=8) == 0


def test_costs_follow_what_is_measured() -> None:
    costs = Costs().learn(step=1.0)
    assert costs.step == 1.0
    assert costs.learn(step=2.0).step == pytest.approx(1.3)
    assert costs.learn(write=0.5).step == 1.0
