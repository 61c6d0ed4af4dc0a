"""Work that nobody waits for stands back behind everything else on the machine, not only behind its own family."""

import subprocess
import sys

import pytest

from vicinal_indexer.priority import AUTOGROUP

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither niceness nor sessions")

CHILD = """
import os
from vicinal_indexer.priority import AUTOGROUP, {how}
before = os.getsid(0), os.nice(0)
{how}(3)
group = AUTOGROUP.read_text() if AUTOGROUP.exists() else ""  # empty in a session that never became a group
print(os.getsid(0) != before[0], os.nice(0) - before[1], group.split()[-1] if group else "none")
"""


def child(how: str, *, leads: bool = False) -> list[str]:
    command = [sys.executable, "-c", CHILD.format(how=how)]
    return subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=leads).stdout.split()


def test_a_step_back_leaves_the_session_as_it_is() -> None:
    assert child("step_back")[:2] == ["False", "3"]


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel does not share by sessions")
def test_a_child_steps_behind_other_sessions_too() -> None:
    assert child("step_behind_all") == ["True", "3", "3"]


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel does not share by sessions")
def test_one_that_leads_a_session_does_not_take_it_along() -> None:
    assert child("step_behind_all", leads=True) == ["False", "3", "0"]
