"""The daemon's log files: what is written where, how large they grow, and what is never in them.

No log contains code or prompts: a message names files, counts and times, and of an exception only those texts are
written that Vicinal or the system chose; others, such as a failed validation's, may quote what was sent.

`daemon.log` is the daemon's, `engine.log` the stderr of the process that runs the model, `daemon.err` the daemon's own
stderr when a client started it: an interpreter that cannot begin, or dies natively.
"""

import faulthandler
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

from vicinal_daemon.config import Settings
from vicinal_daemon.place import LOG_BYTES, log_folder, put_aside_if_large
from vicinal_indexer.errors import VicinalError

OLD_FILES: Final = 3

logger = logging.getLogger(__name__)

_OURS: Final = ("vicinal_daemon", "vicinal_indexer", "uvicorn")
_TOLD: Final = (VicinalError, OSError, ImportError, MemoryError, RuntimeError)
"""Exceptions whose texts do not quote what they failed on."""


class _Discreet(logging.Formatter):
    """Formats an exception without texts that may quote code."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatException(self, ei: object) -> str:  # noqa: N802 - logging's name
        error = ei[1] if isinstance(ei, tuple) else None
        return "".join(_told(error)).rstrip("\n") if isinstance(error, BaseException) else ""


def _told(error: BaseException) -> Iterator[str]:
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _told(before)
        yield "which led to:\n"
    yield from traceback.format_tb(error.__traceback__)
    text = str(error) if isinstance(error, _TOLD) else "(its text is left out: it may quote code)"
    yield f"{type(error).__qualname__}: {text}\n"
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _told(inner)


@contextmanager
def logging_to_files(settings: Settings) -> Iterator[Callable[[], None]]:
    """Log to `daemon.log` until the end of the block, uncaught exceptions too.

    Errors go to stderr as well, so that whoever starts a daemon sees why it does not come up; the function that is
    handed out ends this once it is up. A terminal keeps seeing everything.

    Raises:
        ConfigError: the folder of the logs cannot be made.
    """
    formatter = _Discreet()
    file = RotatingFileHandler(
        log_folder(settings) / "daemon.log", maxBytes=LOG_BYTES, backupCount=OLD_FILES, encoding="utf-8", delay=True
    )
    shown = logging.StreamHandler(sys.stderr)
    watched = sys.stderr.isatty()
    shown.setLevel(logging.INFO if watched else logging.ERROR)
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    root.handlers[:] = [file, shown]
    root.setLevel(logging.WARNING)
    for handler in root.handlers:
        handler.setFormatter(formatter)
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    hooks = sys.excepthook, threading.excepthook
    sys.excepthook = lambda kind, error, trace: logger.critical("uncaught", exc_info=error)
    threading.excepthook = lambda found: logger.critical("uncaught in a thread", exc_info=found.exc_value)
    if not faulthandler.is_enabled():  # a test's own handler tells where the test is
        with suppress(OSError, ValueError, AttributeError):  # stderr may be no real file
            faulthandler.enable()
    try:
        yield lambda: None if watched else root.removeHandler(shown)
    finally:
        sys.excepthook, threading.excepthook = hooks
        root.handlers[:] = kept
        root.setLevel(level)
        file.close()


def engine_log(settings: Settings) -> Path:
    """The file to append the engine process's stderr to; put aside first if it has grown too large.

    Raises:
        ConfigError: the folder of the logs cannot be made.
    """
    return put_aside_if_large(log_folder(settings) / "engine.log")
