"""What the machine says of itself: power, heat, load.

Owns reading these signals, the rule whether work that nobody waits for may run, and what the daemon gets: how many
threads small matrices, how many heaps. What a platform does not tell is None, and keeps nothing from running. It does
not know what the work is.
"""

import ctypes
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

BUSY_LOAD = 1.5
"""Runnable tasks a core. Our own training makes 1 of it; from here on somebody else wants the machine."""

HOT_CELSIUS = 90.0
"""Hot, for a sensor that does not tell its own limit."""

_BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
WAIT_POLICY = "OMP_WAIT_POLICY"
HEAPS = 2
_M_ARENA_MAX = -8  # of malloc.h
_PLAUSIBLE = (20.0, 130.0)  # a limit outside is a driver's filler


@dataclass(frozen=True, slots=True)
class MachineSignals:
    """What is known of the machine now; None is not known.

    Attributes:
        on_mains: whether it runs on mains power; None also for a machine without a battery.
        hot: whether a sensor is at its limit.
        load: runnable tasks of the last minute, for each core.
    """

    on_mains: bool | None
    hot: bool | None
    load: float | None


def one_thread_for_small_matrices() -> None:
    """Let numpy work in one thread; call it first of all in the daemon, before anything imports numpy.

    While the engine has all cores at work, the threads of one small product wait for each other: a selection from 200
    candidates took 300 ms instead of 5 (two cores, both busy). The engine's process must not inherit this: see
    `many_threads_again`. What the user has set stands.

    Raises:
        RuntimeError: numpy is imported already, and has made its threads.
    """
    if "numpy" in sys.modules:
        raise RuntimeError("numpy was imported before its threads were counted")
    for name in _BLAS_THREADS:
        os.environ.setdefault(name, "1")


def many_threads_again(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for a child that multiplies large matrices."""
    return {name: value for name, value in environment.items() if not (name in _BLAS_THREADS and value == "1")}


def waiting_threads_sleep() -> None:
    """Let torch's threads sleep while they wait for each other; call it before anything imports torch.

    They turn round and round otherwise, for which there is no room as soon as anything else runs: a compiler on one of
    two cores made a token take 1.8 s instead of 0.1. On an idle machine both are as fast (`benchmarks/waiting.py`).
    Processes that are started inherit it. What the user has set stands.
    """
    os.environ.setdefault(WAIT_POLICY, "PASSIVE")


def few_heaps() -> None:
    """Let threads share HEAPS heaps of the C library; call it first of all in the daemon. What the user has set stands.

    glibc's malloc gives each thread a heap, up to eight for each core, and what is free in one is of no use to another:
    16 heaps held 53 MB for nothing and went on growing, 2 hold 12 MB (`benchmarks/soak.py`). Other C libraries have no
    such setting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None and "MALLOC_ARENA_MAX" not in os.environ:
        mallopt(_M_ARENA_MAX, HEAPS)


def signals() -> MachineSignals:
    """Ask the machine; takes some milliseconds."""
    return MachineSignals(_on_mains(), _hot(), _load())


def may_work_in_background(now: MachineSignals, *, on_battery_allowed: bool) -> str:
    """Whether work that nobody waits for may run: "" if so, else the reason in words.

    >>> may_work_in_background(MachineSignals(on_mains=False, hot=None, load=0.1), on_battery_allowed=False)
    'the machine runs on its battery'
    """
    if now.on_mains is False and not on_battery_allowed:
        return "the machine runs on its battery"
    if now.hot:
        return "the machine is hot"
    if now.load is not None and now.load > BUSY_LOAD:
        return f"the machine is busy: {now.load:.1f} tasks a core"
    return ""


def _on_mains() -> bool | None:
    try:
        battery = psutil.sensors_battery()
    except (AttributeError, OSError, RuntimeError, NotImplementedError):  # not on every platform
        return None
    return None if battery is None or battery.power_plugged is None else bool(battery.power_plugged)


def _hot() -> bool | None:
    try:
        sensors = psutil.sensors_temperatures()
    except (AttributeError, OSError, RuntimeError, NotImplementedError):  # neither macOS nor Windows has it
        return None
    readings = [(entry.current, entry.high) for entries in sensors.values() for entry in entries]
    return any(is_hot(current, high) for current, high in readings) if readings else None


def is_hot(current: float | None, high: float | None) -> bool:
    """Whether a sensor's reading is at its limit; both in degrees Celsius, None where it does not say."""
    if current is None or not _PLAUSIBLE[0] <= current <= _PLAUSIBLE[1]:
        return False
    return current >= (high if high is not None and _PLAUSIBLE[0] < high <= _PLAUSIBLE[1] else HOT_CELSIUS)


def _load() -> float | None:
    try:
        return float(psutil.getloadavg()[0]) / (psutil.cpu_count() or 1)
    except (AttributeError, OSError, RuntimeError, NotImplementedError):
        return None
