"""What the machine says, and what follows."""

import ctypes
import doctest
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicinal_daemon import machine
from vicinal_daemon.machine import BUSY_LOAD, MachineSignals, is_hot, many_threads_again, may_work_in_background

unsure = st.none() | st.booleans()


def test_the_signals_of_this_machine_are_read() -> None:
    found = machine.signals()
    assert found.load is None or found.load >= 0
    assert {type(found.on_mains), type(found.hot)} <= {bool, type(None)}


@given(unsure, unsure, st.none() | st.floats(0, 10), st.booleans())
def test_work_rests_for_a_reason_that_is_said(
    on_mains: bool | None, hot: bool | None, load: float | None, allowed: bool
) -> None:
    said = may_work_in_background(MachineSignals(on_mains, hot, load), on_battery_allowed=allowed)
    reasons = {
        "battery": on_mains is False and not allowed,
        "hot": hot is True,
        "busy": load is not None and load > BUSY_LOAD,
    }
    assert bool(said) == any(reasons.values())
    assert not said or any(word in said for word, holds in reasons.items() if holds)


@pytest.mark.parametrize(
    ("current", "high", "hot"),
    [
        (95, 100, False),
        (100, 100, True),
        (91, None, True),
        (50, 0, False),
        (91, 65261.8, True),
        (None, 80, False),
        (-128, 80, False),
    ],
)
def test_heat_is_judged_by_plausible_limits(current: float | None, high: float | None, hot: bool) -> None:
    assert is_hot(current, high) is hot


def test_a_platform_that_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sensors_battery", "sensors_temperatures", "getloadavg"):
        monkeypatch.delattr(machine.psutil, name, raising=False)
    assert machine.signals() == MachineSignals(None, None, None)


def test_numpy_gets_one_thread_and_children_get_many() -> None:
    code = (
        "import os; from vicinal_daemon.machine import one_thread_for_small_matrices as calm; calm();"
        "print(os.environ['OPENBLAS_NUM_THREADS']); import numpy; calm()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "1\n"
    assert "numpy was imported before" in done.stderr
    given = {"PATH": "/bin", "OPENBLAS_NUM_THREADS": "1", "VECLIB_MAXIMUM_THREADS": "4"}
    assert many_threads_again(given) == {"PATH": "/bin", "VECLIB_MAXIMUM_THREADS": "4"}


@pytest.mark.parametrize("said", [None, "ACTIVE"])
def test_threads_that_wait_sleep_in_every_command_unless_the_user_says_otherwise(said: str | None) -> None:
    code = (
        "import os; from vicinal_daemon.cli import app;"
        "app.run = lambda _: print(os.environ['OMP_WAIT_POLICY']); app.main()"
    )
    told = {name: value for name, value in os.environ.items() if name != machine.WAIT_POLICY}
    told |= {machine.WAIT_POLICY: said} if said else {}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=told, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == (said or "PASSIVE", "")


HEAPS_OF_EIGHT_THREADS = """
import ctypes, os, threading
from vicinal_daemon.machine import few_heaps
if {few}:
    few_heaps()
together = threading.Barrier(8)
def allocate():
    held = bytes(5_000)
    together.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
told = ctypes.c_void_p(libc.fopen(b"heaps.xml", b"w"))
libc.malloc_info(0, told)
libc.fclose(told)
print(open("heaps.xml").read().count("<heap nr"))
"""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_info"), reason="only glibc's heaps can be counted"
)
def test_threads_share_few_heaps_unless_the_user_says_how_many(tmp_path: Path) -> None:
    def heaps(*, few: bool, **environment: str) -> int:
        code = HEAPS_OF_EIGHT_THREADS.format(few=few)
        told = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"} | environment
        return int(subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, env=told, text=True))

    assert heaps(few=True) == 2 < heaps(few=False)
    assert heaps(few=True, MALLOC_ARENA_MAX="5") == 5


def test_example() -> None:
    assert doctest.testmod(machine).failed == 0
