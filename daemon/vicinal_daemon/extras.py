"""Whether the extras of the package are installed.

Owns the check that comes before the work. It does not know what is drawn.
"""

import importlib.util

from vicinal_daemon.errors import INSTALL_PICTURES, ExtraMissing


def require_matplotlib() -> None:
    """Make sure that plots can be drawn, before anything is measured for them.

    Raises:
        ExtraMissing: matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise ExtraMissing("plots need matplotlib, which is not installed", hint=INSTALL_PICTURES)
