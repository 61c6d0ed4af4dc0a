"""What the repository's own adapter studies."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicinal_daemon.background import choose
from vicinal_daemon.background.choose import HELD_OUT, WarmOrder, warm_order
from vicinal_daemon.background.lesson import courses, tuning_digest
from vicinal_daemon.config import Settings
from vicinal_daemon.config.settings import WarmSettings
from vicinal_indexer.embed import StaticEmbedder
from vicinal_indexer.types import Candidate, Chunk, digest

TOPICS = ("open socket send bytes", "parse table row column", "train model loss step", "draw window button click")


def candidates(counts: list[int]) -> list[Candidate]:
    """So many chunks of each topic, all different."""
    texts = [
        f"def {topic.split()[0]}_{number}():\n    " + f"{topic} detail{number}\n    " * 12
        for topic, count in zip(TOPICS, counts, strict=False)
        for number in range(count)
    ]
    vectors = StaticEmbedder().embed(texts)
    return [
        Candidate(Chunk(f"{digest(text)}.py", 1, 14, 0, 9, "python", "", "", text, digest(text)), vector, None, None)
        for text, vector in zip(texts, vectors, strict=True)
    ]


def topics(order: WarmOrder) -> list[str]:
    return [candidate.chunk.text.split("_")[0] for candidate in order.picks]


@given(st.lists(st.integers(0, 12), min_size=1, max_size=4), st.integers(0, 20), st.integers(0, 5))
def test_the_order(counts: list[int], count: int, seed: int) -> None:
    found = candidates(counts)
    order = warm_order(found, count, seed)
    picked = [c.chunk.content_hash for c in order.picks]
    held_out = [c.chunk.content_hash for c in order.held_out]
    assert len(set(picked + held_out)) == len(picked) + len(held_out)
    assert set(picked + held_out) <= {c.chunk.content_hash for c in found}
    assert len(held_out) == min(HELD_OUT, int(0.1 * len(found)))
    assert len(picked) <= min(count, len(found) - len(held_out))
    assert not picked or np.isclose(sum(order.shares), 1)
    again = warm_order(found, count, seed)
    assert (again.picks, again.held_out, again.shares) == (order.picks, order.held_out, order.shares)


def test_a_few_picks_cover_what_the_repository_is_about() -> None:
    order = warm_order(candidates([30, 10, 10, 10]), 4, seed=0)
    assert len(set(topics(order))) == 4
    assert topics(order)[0] == "def open"
    assert list(order.shares) == sorted(order.shares, reverse=True)


def test_more_picks_begin_alike() -> None:
    found = candidates([20, 20, 20, 20])
    few, many = (warm_order(found, count, seed=1) for count in (4, 16))
    assert many.picks[:4] == few.picks


@given(st.integers(0, 10_000))
def test_courses_grow_and_the_last_is_the_whole(steps: int) -> None:
    asked = Settings(warm=WarmSettings(steps=steps))
    found = [course.warm.steps for course in courses(asked)]
    assert found[-1] == steps
    assert all(2 * shorter <= longer for shorter, longer in pairwise(found))
    assert sum(found[:-1]) <= steps * 2 / 3
    assert len({tuning_digest(course) for course in courses(asked)}) == len(found)


def test_the_courses_of_who_sets_nothing() -> None:
    assert [course.warm.steps for course in courses(Settings())] == [64, 320, 1536]


@given(st.integers(8, 40), st.integers(1, 120), st.integers(0, 5))
def test_many_candidates_choose_in_groups(group: int, count: int, seed: int) -> None:
    found = candidates([60, 20, 10, 10])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choose, "GROUP", group)
        order = warm_order(found, count, seed)
    pool = len(found) - len(order.held_out)
    assert len(order.picks) == len({c.chunk.content_hash for c in order.picks}) == min(count, pool)
    assert not {c.chunk.content_hash for c in order.picks} & {c.chunk.content_hash for c in order.held_out}
    assert np.isclose(sum(order.shares), 1)


@given(st.integers(0, 20))
def test_what_groups_choose_covers_the_repository(seed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choose, "GROUP", 16)
        order = warm_order(candidates([60, 20, 20, 20]), 12, seed)
    assert len(set(topics(order))) == 4
