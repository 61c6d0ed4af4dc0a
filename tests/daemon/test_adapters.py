"""The adapter store: real files, whatever happened to them."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from vicinal_daemon.forget import forget_learned, wanted
from vicinal_daemon.tune.adapter_file import AdapterInfo, Pick, adapter_key, metadata, nearness, settings_digest
from vicinal_daemon.tune.adapters import AdapterStore, temporary_for
from vicinal_daemon.tune.checkpoints import Checkpoint, Checkpoints
from vicinal_daemon.uncertainty.feedback import FeedbackStore
from vicinal_indexer.errors import InputError, StoreUnavailable

SHOP, MODEL = "/home/ada/shop", "fingerprint of a model"
TUNING = settings_digest({"rank": 16, "steps": 8})


class Clock:
    """Seconds that pass when they are asked for, and jump when they are told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def picks(*names: str) -> tuple[Pick, ...]:
    """Each name is a file with one chunk; the shares are equal."""
    return tuple(Pick(f"{name}.py", f"hash of {name}", 1 / len(names)) for name in names)


def info(store: AdapterStore, *names: str, size: int = 100, **changes: object) -> AdapterInfo:
    chosen = picks(*names)
    key = adapter_key(str(changes.get("workspace", SHOP)), MODEL, TUNING, chosen, str(changes.get("kind", "base")))
    made = AdapterInfo(
        key,
        SHOP,
        "tuned",
        chosen,
        MODEL,
        TUNING,
        8,
        0.5,
        0,
        1_600_000_000.0,
        0.0,
        pinned=False,
        file=store.path_for(key),
    )
    return replace(made, bytes=size, **changes)  # type: ignore[arg-type]


def written(store: AdapterStore, *names: str, size: int = 100, **changes: object) -> AdapterInfo:
    """What an engine does: a whole file, then its name."""
    told = info(store, *names, size=size, **changes)
    temporary = temporary_for(told.file)
    save_file({"lora_A": np.zeros(size // 4, np.float32)}, temporary, metadata=metadata(told))
    temporary.replace(told.file)
    return told


def added(store: AdapterStore, *names: str, size: int = 100, **changes: object) -> AdapterInfo:
    told = written(store, *names, size=size, **changes)
    store.add(told)
    found = store.get(told.key)
    assert found is not None
    return found


def opened(folder: Path, limit_bytes: int = 10**6, limit_count: int = 10, clock: Clock | None = None) -> AdapterStore:
    store = AdapterStore(folder / "adapters", limit_bytes, limit_count, clock or Clock())
    store.open()
    return store


def keys(store: AdapterStore) -> set[str]:
    return {adapter.key for adapter in store.all()}


def current(*names: str) -> dict[str, frozenset[str]]:
    return {f"{name}.py": frozenset({f"hash of {name}", "hash of another chunk"}) for name in names}


def test_an_adapter_survives_a_restart_as_it_was(tmp_path: Path) -> None:
    store = opened(tmp_path)
    kept = added(store, "a", "b", "a")
    store.pin(kept.key)
    store.touch(kept.key)
    before = store.get(kept.key)
    after = opened(tmp_path).get(kept.key)
    assert before is not None
    assert after is not None
    assert replace(after, used=0) == replace(before, used=0)
    assert after.used == pytest.approx(before.used, abs=1e-3)
    assert (after.pinned, after.scale, after.bytes, after.picks) == (True, 0.5, after.file.stat().st_size, kept.picks)
    assert list(load_file(after.file)) == ["lora_A"]


selections = st.lists(st.builds(Pick, st.sampled_from("ab"), st.sampled_from("hijk"), st.floats(0.0, 1.0)), max_size=6)


@given(selections, selections)
def test_nearness_is_a_similarity(first: list[Pick], second: list[Pick]) -> None:
    near = nearness(first, second)
    assert 0 <= near <= 1
    assert near == nearness(second, first)
    assert nearness(first, first) == (1 if first else 0)
    if not {pick.content_hash for pick in first} & {pick.content_hash for pick in second}:
        assert near == 0


def test_repeats_are_added_up() -> None:
    twice = [Pick("a", "h", 0.25), Pick("b", "i", 0.5), Pick("a", "h", 0.25)]
    assert nearness(twice, [Pick("a", "h", 0.5), Pick("b", "i", 0.5)]) == 1
    assert nearness(twice, [Pick("a", "h", 1.0)]) == pytest.approx(0.5 / 1.5)


@given(selections, selections)
def test_the_key_is_that_of_the_training(first: list[Pick], second: list[Pick]) -> None:
    a, b = (adapter_key(SHOP, MODEL, TUNING, chosen) for chosen in (first, second))
    assert (a == b) == ([pick[:2] for pick in first] == [pick[:2] for pick in second])
    assert len({a, *(adapter_key(*change) for change in variations(first))}) == 5


def variations(chosen: list[Pick]) -> list[tuple[str, str, str, list[Pick], str]]:
    given = (SHOP, MODEL, TUNING, chosen, "base")
    return [tuple("x" if n == place else part for n, part in enumerate(given)) for place in (0, 1, 2, 4)]  # type: ignore[misc]


def test_settings_in_any_order_have_one_digest() -> None:
    assert settings_digest({"a": 1, "b": 2}) == settings_digest({"b": 2, "a": 1}) != settings_digest({"a": 1, "b": 3})


def test_a_near_selection_is_served_and_a_far_one_is_not(tmp_path: Path) -> None:
    store = opened(tmp_path)
    near, _ = added(store, "a", "b", "c"), added(store, "x", "y")
    added(store, "a", "b", "c", "d", kind="warm")
    added(store, "a", "b", "c", "e", workspace="/elsewhere")
    asked = picks("a", "b", "c", "d")
    found = store.nearest(SHOP, MODEL, TUNING, asked, 0.5)
    assert found is not None
    assert (found[0].key, found[1]) == (near.key, pytest.approx(3 / 4 / (3 * 1 / 3 + 1 / 4)))
    assert store.nearest(SHOP, MODEL, TUNING, asked, 0.7) is None
    assert store.nearest(SHOP, "another model", TUNING, asked, 0.0) is None
    assert store.nearest(SHOP, MODEL, TUNING, picks("q"), 0.0) is None
    near.file.unlink()
    assert store.nearest(SHOP, MODEL, TUNING, asked, 0.5) is None


def test_the_least_recently_used_gives_way_and_warm_ones_last(tmp_path: Path) -> None:
    clock = Clock()
    store = opened(tmp_path, limit_count=3, clock=clock)
    first, second = added(store, "a"), added(store, "b")
    warm = added(store, "w", kind="warm")
    store.touch(first.key)
    clock.now -= 10**8  # the clock jumps; the order of use does not
    third = written(store, "c")
    assert store.add(third) == [second.key]
    assert keys(opened(tmp_path, limit_count=3)) == {first.key, third.key, warm.key}
    assert opened(tmp_path, limit_count=2).get(first.key) is None
    assert keys(opened(tmp_path, limit_count=1)) == {warm.key}


actions = st.lists(st.tuples(st.sampled_from("add add add touch pin drop".split()), st.integers(0, 9)), max_size=25)


@given(actions, st.integers(1, 5), st.integers(500, 6_000))
def test_the_bounds_hold_and_pins_too(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], limit_count: int, limit_bytes: int
) -> None:
    store = opened(tmp_path_factory.mktemp("bounds"), limit_bytes, limit_count)
    pinned: set[str] = set()
    for action, number in steps:
        told = info(store, str(number))
        if action == "add":
            told = written(store, str(number), size=100 * number, pinned=told.key in pinned)
            store.add(told)
        elif action == "touch":
            store.touch(told.key)
        elif action == "pin" and store.pin(told.key):
            pinned.add(told.key)
        elif action == "drop" and store.drop(told.key):
            pinned.discard(told.key)
        files = {file.stem: file.stat().st_size for file in store.folder.glob("*.safetensors")}
        assert files == {adapter.key: adapter.bytes for adapter in store.all()}
        assert pinned <= files.keys()
        fits = len(files) <= limit_count and sum(files.values()) <= limit_bytes
        assert fits or files.keys() == pinned


def test_what_rests_on_code_that_is_gone_expires(tmp_path: Path) -> None:
    store = opened(tmp_path)
    stays, changed, pinned = added(store, "a", "b"), added(store, "a", "c"), added(store, "d", pinned=True)
    warm = added(store, "a", "b", "c", "e", kind="warm")
    elsewhere = added(store, "c", workspace="/elsewhere")
    assert store.paths(SHOP) == {"a.py", "b.py", "c.py", "d.py", "e.py"}
    now = current("a", "b", "e") | {"c.py": frozenset({"hash of another chunk"})}
    assert set(store.expire(SHOP, now, warm_tolerance=0.25)) == {changed.key, pinned.key}
    assert keys(store) == {stays.key, warm.key, elsewhere.key}
    assert store.expire(SHOP, now, warm_tolerance=0.2) == [warm.key]
    assert json.loads((store.folder / "pins.json").read_text()) == []


def test_a_warm_adapter_goes_at_once_if_a_file_has_left_the_index(tmp_path: Path) -> None:
    store = opened(tmp_path)
    warm = added(store, *"abcdefgh", kind="warm")
    assert store.warm(SHOP, MODEL) == warm
    assert store.warm("/elsewhere", MODEL) is None
    assert store.expire(SHOP, current(*"abcdefg"), warm_tolerance=0.9) == [warm.key]
    assert store.warm(SHOP, MODEL) is None


def test_what_studied_a_forgotten_file_goes_listed_or_not(tmp_path: Path) -> None:
    store = opened(tmp_path)
    stays, elsewhere = added(store, "b", "c"), added(store, "a", workspace="/elsewhere")
    gone = {added(store, "a", "b", pinned=True).key, added(store, "a", *"defg", kind="warm").key}
    cut_off = written(store, "a", "c")  # whole, but its daemon was killed before it was listed
    started = info(store, "c", "d")
    started = replace(started, key=adapter_key(SHOP, MODEL, TUNING, started.picks, "a warm adapter's key"))
    started = replace(started, file=store.path_for(started.key))
    save_file({"lora_A": np.zeros(9, np.float32)}, started.file, metadata=metadata(started))
    assert set(store.forget(SHOP, lambda path: path == "a.py")) == gone | {cut_off.key, started.key}
    assert keys(store) == {stays.key, elsewhere.key}
    assert {file.stem for file in store.folder.glob("*.safetensors")} == keys(store)
    assert store.forget(SHOP, lambda path: path == "a.py") == []


def test_a_checkpoint_that_studied_a_forgotten_file_goes(tmp_path: Path) -> None:
    store, feedback = opened(tmp_path), FeedbackStore(tmp_path / "feedback.sqlite")
    checkpoints = Checkpoints(store.folder / "checkpoints")
    file = checkpoints.path_for(SHOP, 8)
    file.write_bytes(b"what was learned so far")
    checkpoints.save(Checkpoint("key", SHOP, MODEL, TUNING, picks("a", "b"), 8, file))
    assert forget_learned(wanted(Path(SHOP), ["c.py"]), store, feedback).checkpoints == 0
    assert checkpoints.load(SHOP) is not None
    assert forget_learned(wanted(Path(SHOP), ["a.py"]), store, feedback).checkpoints == 1
    assert not list(checkpoints.folder.iterdir())
    feedback.close()


@pytest.mark.parametrize("path", ["", ".", "/etc/passwd", "../a.py", "a/../b.py", "a//b.py", "a/", "a\0b"])
def test_only_what_lies_in_the_repository_can_be_forgotten(path: str) -> None:
    with pytest.raises(InputError):
        wanted(Path(SHOP), [path])
    with pytest.raises(InputError):
        wanted(Path(SHOP), [])


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "a few bytes": lambda data: data[:5],
    "half a header": lambda data: data[: len(data) // 3],
    "half the tensors": lambda data: data[:-50],
    "too long": lambda data: data + b"\0",
    "garbage": lambda data: b"\xff" * len(data),
    "no JSON": lambda data: data[:8] + b"[" * (len(data) - 8),
    "a list": lambda data: (2).to_bytes(8, "little") + b"[]",
    "another key": lambda data: data.replace(b'"key":"', b'"key":"0', 1)[: len(data)],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_adapter_is_dropped_and_told_of(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = opened(tmp_path)
    whole, broken = added(store, "a"), added(store, "b")
    broken.file.write_bytes(DAMAGES[damage](broken.file.read_bytes()))
    assert keys(opened(tmp_path)) == {whole.key}
    assert not broken.file.exists()
    assert broken.file.name in caplog.text
    with pytest.raises(StoreUnavailable, match="not written whole"):
        store.add(broken)


def test_daemons_that_share_a_folder_share_its_pins(tmp_path: Path) -> None:
    first = opened(tmp_path, limit_count=3)
    old, other = added(first, "a"), added(first, "b")
    second = opened(tmp_path, limit_count=3)
    first.pin(old.key)
    second.pin(other.key)
    first.unpin(added(first, "c").key)
    assert {told.key for told in opened(tmp_path).all() if told.pinned} == {old.key, other.key}
    new = added(second, "d"), added(second, "e")
    assert keys(second) == {old.key, other.key, new[1].key}, "what the other has pinned does not give way"
    second.unpin(old.key)
    assert not next(told for told in opened(tmp_path).all() if told.key == old.key).pinned


def test_a_damaged_list_of_pins_costs_none_of_those_that_are_known(tmp_path: Path) -> None:
    store = opened(tmp_path)
    kept, more = added(store, "a", pinned=True), added(store, "b")
    (store.folder / "pins.json").write_text("{garbage")
    store.pin(more.key)
    assert {told.key for told in opened(tmp_path).all() if told.pinned} == {kept.key, more.key}


@pytest.mark.parametrize("damage", ["{garbage", None])
def test_without_the_list_room_is_not_made_of_pinned_adapters(tmp_path: Path, damage: str | None) -> None:
    store = opened(tmp_path, limit_count=2)
    kept = added(store, "a", pinned=True)
    pins = store.folder / "pins.json"
    pins.write_text(damage) if damage is not None else pins.unlink()
    last = [added(store, name) for name in "bcd"][-1]
    assert keys(store) == {kept.key, last.key}
    store.open()  # as `forget` does, to see what nobody has listed
    assert {told.key for told in store.all() if told.pinned} == {kept.key}


def test_leftovers_are_removed_and_foreign_files_are_left_alone(tmp_path: Path) -> None:
    store = opened(tmp_path)
    kept = added(store, "a")
    temporary_for(kept.file).write_bytes(b"half")
    foreign = store.folder / ("0" * 32 + ".safetensors")
    save_file({"x": np.zeros(3, np.float32)}, foreign)
    (store.folder / "notes.txt").write_text("mine")
    (store.folder / "sub").mkdir()
    (store.folder / "pins.json").write_text("{garbage")
    again = opened(tmp_path, limit_count=1)
    assert keys(again) == {kept.key}
    assert {path.name for path in store.folder.iterdir()} == {
        kept.file.name, foreign.name, "notes.txt", "sub", "pins.json"
    }  # fmt: skip


@given(st.binary(max_size=300))
def test_no_bytes_can_stop_the_store(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    (folder / "adapters").mkdir()
    (folder / "adapters" / ("1" * 32 + ".safetensors")).write_bytes(data)
    assert opened(folder).all() == ()


def test_a_header_with_another_scale_is_a_mistake_of_ours(tmp_path: Path) -> None:
    store = opened(tmp_path)
    told = written(store, "a")
    with pytest.raises(ValueError, match=r"scale 0\.5"):
        store.add(replace(told, scale=1.0))


KILLED = """
import os, signal, sys, threading
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import test_adapters as t
store = t.AdapterStore(Path(sys.argv[1]) / "adapters", 10**6, 5)
store.open()
print("begun", flush=True)
for number in range(10**6):
    told = t.written(store, str(number % 7), size=20_000, pinned=number % 3 == 0)
    store.add(told)
    store.pin(told.key) if number % 2 else store.unpin(told.key)
"""


def test_killed_at_any_moment_the_store_opens(tmp_path: Path) -> None:
    for turn in count():
        command = [sys.executable, "-c", KILLED, str(tmp_path), str(Path(__file__).parent)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"begun\n"
            while len(list((tmp_path / "adapters").glob("*.safetensors"))) < 3:
                assert writer.poll() is None
            writer.kill()
        store = opened(tmp_path)
        assert len(store.all()) >= 3
        assert all(load_file(adapter.file)["lora_A"].size == 5_000 for adapter in store.all())
        assert not list(store.folder.glob("*.part"))
        if turn == 2:
            break


def test_a_folder_that_cannot_be_had_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "adapters").write_text("a file")
    with pytest.raises(StoreUnavailable) as caught:
        opened(tmp_path)
    assert caught.value.hint


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(tmp_path)
    kept = added(store, "a")
    import vicinal_daemon.tune.pins as module

    def full(path: Path, text: str) -> None:
        Path("/dev/full").write_text(text)

    monkeypatch.setattr(module, "replace_text", full)
    with pytest.raises(StoreUnavailable, match="No space left"):
        store.pin(kept.key)
    assert store.get(kept.key) == kept
    assert keys(opened(tmp_path)) == {kept.key}


def test_training_goes_on_from_the_last_whole_checkpoint(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.load(SHOP) is None

    def save(done: int) -> Checkpoint:
        file = checkpoints.path_for(SHOP, done)
        file.write_bytes(b"x" * done)
        checkpoint = Checkpoint("key", SHOP, MODEL, TUNING, picks("a", "b"), done, file)
        checkpoints.save(checkpoint)
        return checkpoint

    first = save(8)
    assert checkpoints.load(SHOP) == first
    checkpoints.path_for(SHOP, 16).write_bytes(b"written, not noted")
    assert checkpoints.load(SHOP) == first
    second = save(24)
    assert checkpoints.load(SHOP) == second
    assert sorted(path.suffix for path in checkpoints.folder.iterdir()) == [".json", ".safetensors"]
    second.file.write_bytes(b"short")
    assert checkpoints.load(SHOP) is None
    save(32)
    checkpoints.clear(SHOP)
    assert checkpoints.load(SHOP) is None
    assert not list(checkpoints.folder.iterdir())


def test_a_checkpoint_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file")
    with pytest.raises(StoreUnavailable):
        Checkpoints(tmp_path / "checkpoints").path_for(SHOP, 1)
    missing = Checkpoint("key", SHOP, MODEL, TUNING, (), 1, tmp_path / "none")
    with pytest.raises(StoreUnavailable):
        Checkpoints(tmp_path).save(missing)


def test_torch_is_not_imported() -> None:
    code = "import sys, vicinal_daemon.tune.adapters, vicinal_daemon.tune.checkpoints; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
