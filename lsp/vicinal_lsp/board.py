"""The one line of status that the user sees, kept up to date.

Owns what was told last, when the daemon has to be asked again, and whether the missing model was offered. `news` has
the words. It does not know how the daemon is asked. Belongs on one event loop.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from vicinal_lsp import news
from vicinal_lsp.news import Status

if TYPE_CHECKING:
    from vicinal_daemon.protocol.state import DaemonState, Event

_LOOK_SECONDS: Final = 2.0
"""After which what goes on is looked at again: not every end of something is told of."""


class Board:
    """What the user was told.

    Args:
        on_status: told what the user should see, whenever that changes.
        on_missing_model: told the name of a model that is not on this machine; once a name.
        look: called when the daemon has to be asked for its state, which is then given to `judge`.

    Attributes:
        missing: the name of the daemon's model if it is not on this machine, else an empty text.
    """

    def __init__(
        self, on_status: Callable[[Status], None], on_missing_model: Callable[[str], None], look: Callable[[], None]
    ) -> None:
        self._on_status = on_status
        self._on_missing_model = on_missing_model
        self._look = look
        self._told: Status | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._offered: set[str] = set()
        self._fetched: set[str] = set()
        self._closed = False
        self._downloads_until = 0.0
        self.missing = ""

    def say(self, status: Status) -> None:
        """Tell the user, unless it is what was told last."""
        if status == self._told or self._closed:
            return
        self._told = status
        self._on_status(status)
        if status.level == "progress":
            self.look_soon()

    def judge(self, state: "DaemonState") -> None:
        """The daemon has said how it is."""
        missing = news.missing_model(state)
        if missing in self._fetched:
            missing, state = "", news.without_problem(state)
        self.missing = missing
        if missing and asyncio.get_running_loop().time() < self._downloads_until:
            self.look_soon()
            return
        status = news.status_of(state)
        self.say(status)
        if status.level == "progress":
            self.look_soon()
        if missing and missing not in self._offered and not self._closed:
            self._offered.add(missing)
            self._on_missing_model(missing)

    def hear(self, event: "Event") -> None:
        """Something has happened in the daemon."""
        if event.name == "download":  # told of several times a second while it goes on
            self._downloads_until = asyncio.get_running_loop().time() + _LOOK_SECONDS
        if news.calls_for_look(event):
            self._look()
        elif self._told is not None:
            self.say(news.after(self._told, event))

    def fetched(self, name: str) -> None:
        """This model is on this machine now; the daemon will know when it next needs it."""
        self._fetched.add(name)

    def look_soon(self) -> None:
        """Have the daemon asked in a moment."""
        if self._timer is not None:
            self._timer.cancel()
        if not self._closed:
            self._timer = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look)

    def close(self) -> None:
        """Say no more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
