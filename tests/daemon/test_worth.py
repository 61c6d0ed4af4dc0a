"""What prompt and tuning are worth: the forecast, and what follows from it at a price."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicinal_daemon.worth import CLUES, Forecast, Worth, clues_of, context_at, default_forecast, wanted

NONE = (0.0,) * (len(CLUES) - 1)
HELPFUL = Forecast((0.05, *NONE), (0.04, *NONE), 4.0)
CLUES_HERE = clues_of(0.6, 0.4, 0.5, 1.0)

amounts = st.floats(1e-4, 1.0)
prices = st.floats(1e-5, 0.5)


def gain(forecast: Forecast, worth: Worth, steps: int, most: int) -> float:
    """The definition."""
    return worth.tuning * (1 - math.exp(-steps / forecast.decay)) / (1 - math.exp(-most / forecast.decay))


def test_the_forecast_that_ships_is_whole() -> None:
    told = default_forecast().worth(CLUES_HERE)
    assert all(map(math.isfinite, (told.prompt, told.tuning)))


def test_it_is_linear_in_the_clues() -> None:
    forecast = Forecast((1.0, 2.0, 0.0, 0.0, 0.0), (0.0, 0.0, 3.0, 0.0, -1.0), 4.0)
    told = forecast.worth(clues_of(0.5, 0.25, 0.9, 1.0))
    assert (told.prompt, told.tuning) == pytest.approx((2.0, -0.25))


@pytest.mark.parametrize("tuning", [0.0, -0.1])
def test_what_is_expected_to_do_no_good_is_not_done(tuning: float) -> None:
    forecast = Forecast((tuning, *NONE), (tuning, *NONE), 4.0)
    told = wanted(forecast, CLUES_HERE, 8, price=0.0, step_seconds=0.0, prompt_seconds=0.0)
    assert (told.steps, told.prompt) == (0, False)


def test_at_no_price_everything_that_helps_is_done() -> None:
    told = wanted(HELPFUL, CLUES_HERE, 8, price=0.0, step_seconds=2.0, prompt_seconds=3.0)
    assert (told.steps, told.prompt) == (8, True)


@given(amounts, prices, st.integers(1, 64))
def test_steps_end_where_the_next_brings_less_than_it_costs(tuning: float, price: float, most: int) -> None:
    worth = Worth(0.0, tuning)
    steps = HELPFUL.steps(worth, most, price)
    assert 0 <= steps <= most
    profit = [gain(HELPFUL, worth, n, most) - price * n for n in range(most + 1)]
    assert profit[steps] == pytest.approx(max(profit), abs=1e-9)


@given(amounts, prices, prices, st.integers(1, 64))
def test_a_higher_price_buys_no_more(tuning: float, one: float, other: float, most: int) -> None:
    low, high = sorted([one, other])
    assert HELPFUL.steps(Worth(0.0, tuning), most, high) <= HELPFUL.steps(Worth(0.0, tuning), most, low)


def test_a_prompt_that_costs_more_than_it_brings_is_not_shown() -> None:
    def shown(seconds: float) -> bool:
        return wanted(HELPFUL, CLUES_HERE, 8, price=0.01, step_seconds=0.0, prompt_seconds=seconds).prompt

    assert shown(4.0)
    assert not shown(6.0)


def test_the_first_line_has_no_context_and_a_late_one_all_of_it() -> None:
    assert (context_at(1), context_at(1000)) == (0.0, 1.0)


def test_weights_that_do_not_fit_the_clues_are_refused() -> None:
    with pytest.raises(ValueError, match="clues"):
        Forecast((1.0,), (1.0,), 4.0)
