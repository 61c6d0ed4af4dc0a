"""A week of work in seconds, by `benchmarks/soak.py`: nothing grows; and what does grow is found."""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SCRIPTS = Path(__file__).parents[2] / "benchmarks"
trend: Callable[..., Any] = runpy.run_path(str(SCRIPTS / "measures" / "trend.py"))["trend"]
SHORT, LONG = 0.4, 30.0


def soak(minutes: float, told: Path, *more: str) -> tuple[int, dict[str, Any], str]:
    command = [sys.executable, str(SCRIPTS / "soak.py"), "--minutes", str(minutes), "--json", str(told), *more]
    # Who has indexed with workers in this process has forbidden imports from the folder of a script.
    env = {**os.environ, "PYTHONSAFEPATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert told.exists(), done.stderr[-3000:]
    return done.returncode, json.loads(told.read_text()), done.stdout


@pytest.mark.slow
def test_a_short_week_leaves_nothing_behind(tmp_path: Path) -> None:
    status, told, shown = soak(SHORT, tmp_path / "week.json", "--png", str(tmp_path / "week.png"))
    assert status == 0, shown
    assert told["failures"] == []
    assert told["answered"] == told["keys"] > 0
    assert {sample["life"] for sample in told["samples"]} == {0, 1}
    assert (tmp_path / "week.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_a_long_week_leaves_nothing_behind(tmp_path: Path) -> None:
    status, _, shown = soak(LONG, tmp_path / "week.json")
    assert status == 0, shown


@pytest.mark.torture
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("what", "name"), [("memory", "daemon_mb"), ("handles", "handles")])
def test_a_leak_in_the_daemon_is_found(what: str, name: str, tmp_path: Path) -> None:
    status, told, shown = soak(1.0, tmp_path / "week.json", "--leak", what)
    assert status == 1
    trends = told["trends"]
    assert trends[name]["growth"] > trends[name]["allowed"], shown


NOISE = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed))


@settings(derandomize=True)  # of many samples of noise one may look like a trend
@given(NOISE, st.integers(8, 60), st.floats(0.01, 100))
def test_noise_is_no_leak(random: np.random.Generator, count: int, spread: float) -> None:
    found = trend(np.arange(float(count)), random.normal(300, spread, count), 0.0)
    assert not found.leaks
    assert found.low <= found.slope <= found.high


@settings(derandomize=True)  # of many samples of noise one may look like a trend
@given(NOISE, st.integers(8, 60), st.floats(0.01, 100))
def test_what_grows_by_more_than_the_noise_is_a_leak(random: np.random.Generator, count: int, spread: float) -> None:
    grown = np.linspace(0, 30 * spread, count)
    assert trend(np.arange(float(count)), 300 + grown + random.normal(0, spread, count), 0.0).leaks
    assert not trend(np.arange(float(count)), 300 + grown + random.normal(0, spread, count), 40 * spread).leaks


@settings(derandomize=True)  # of many samples of noise one may look like a trend
@given(NOISE, st.floats(1, 1000), st.sets(st.integers(0, 19), max_size=3))
def test_a_few_outliers_are_no_leak(random: np.random.Generator, height: float, where: set[int]) -> None:
    values = np.full(20, 300.0) + random.normal(0, 0.1, 20)
    values[sorted(where)] += height
    assert not trend(np.arange(20.0), values, 0.0).leaks


@settings(derandomize=True)  # of many samples of noise one may look like a trend
@given(NOISE, st.floats(-5, 5), st.floats(0.1, 10), st.floats(-100, 100))
def test_units_and_origins_do_not_matter(random: np.random.Generator, slope: float, unit: float, origin: float) -> None:
    x = np.arange(15.0)
    y = slope * x + random.normal(0, 1, 15)
    one, other = trend(x, y, 1.0), trend(x, unit * y + origin, unit)
    assert other.slope == pytest.approx(unit * one.slope, abs=1e-9)
    assert other.growth == pytest.approx(unit * one.growth, abs=1e-9)
    assert other.spread == pytest.approx(unit * one.spread, abs=1e-9)


@pytest.mark.parametrize("x", [[], [1.0, 2.0], [1.0, 1.0, 1.0]])
def test_too_few_samples_are_no_trend(x: list[float]) -> None:
    with pytest.raises(ValueError, match="three samples"):
        trend(x, x, 1.0)
