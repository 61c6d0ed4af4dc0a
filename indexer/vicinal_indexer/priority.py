"""How a process stands back for others.

Owns the platforms' ways of saying so. It does not know what the process does.
"""

import errno
import os
import sys
import time
from pathlib import Path

AUTOGROUP = Path("/proc/self/autogroup")
TRIES = 5
PAUSE = 0.15
"""Seconds: Linux takes a tenth of one between two changes by all users but root, and says EAGAIN before."""


def step_back(niceness: int) -> None:
    """Run at a lower priority from now on.

    Args:
        niceness: Unix's, 0 to 19; Windows knows "below normal" alone.
    """
    if hasattr(os, "nice"):
        os.nice(niceness)
    else:
        import psutil

        psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)


def step_behind_all(niceness: int) -> None:
    """As `step_back`, also behind the processes of other terminals and sessions; for a child that nobody waits for.

    Most Linux systems share the processor between sessions first (sched(7), "The autogroup feature"), so that niceness
    counts within one only: a child of a daemon that runs alone in its session would step back behind nobody. It
    becomes a session of its own, and that steps back; a terminal's signals do not reach it any more.
    """
    step_back(niceness)
    if sys.platform != "linux" or not AUTOGROUP.exists():
        return
    try:
        os.setsid()
    except PermissionError:  # it leads a group already, and so has one that must not be left
        return
    for _ in range(TRIES):
        try:
            AUTOGROUP.write_text(str(niceness))
        except OSError as error:
            if error.errno != errno.EAGAIN:
                return  # switched off, or not ours to change: it is nice within its session
            time.sleep(PAUSE)
        else:
            return
