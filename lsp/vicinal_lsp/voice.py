"""What the user hears of us: the status, and messages, none of them twice.

Owns what was said, and the words for what failed. It does not know how a client is told, nor what goes on.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lsprotocol.types import MessageType

from vicinal_lsp.news import Status

if TYPE_CHECKING:
    from vicinal_indexer.errors import VicinalError
    from vicinal_lsp.form import Trigger

log = logging.getLogger(__name__)
Json = dict[str, Any]
KINDS = {"normal": "Normal", "progress": "InProgress", "warning": "Warning", "error": "Error"}


class Voice:
    """The status and messages of one session.

    Args:
        send_status: as `didChangeStatus` has it.
        show: a message.
        automatic: whether automatic completions are on; switched off is a state too.

    Attributes:
        status: how things are.
    """

    def __init__(
        self,
        send_status: Callable[[Json], None],
        show: Callable[[MessageType, str], None],
        automatic: Callable[[], bool],
    ) -> None:
        self._send_status = send_status
        self._show = show
        self._automatic = automatic
        self.status = Status("progress", "starting")
        self._of_daemon = self.status
        self._sent: Status | None = None
        self._said: set[str] = set()

    def say(self, kind: MessageType, message: str) -> None:
        """Show a message."""
        self._show(kind, message)

    def say_once(self, kind: MessageType, message: str) -> None:
        """Show a message, unless it was shown before."""
        if self.is_first(message):
            self._show(kind, message)

    def is_first(self, what: str) -> bool:
        """Whether the user has not been told or asked this yet; from now on they have."""
        known = what in self._said
        self._said.add(what)
        return not known

    def daemon_said(self, status: Status) -> None:
        """How the daemon is."""
        self._of_daemon = status
        self._change(status)

    def answered(self) -> None:
        """There was an answer: what went wrong with a request before is over."""
        self._change(self._of_daemon)

    def failed(self, error: "VicinalError", trigger: "Trigger") -> None:
        """A request had no answer."""
        if trigger == "invoked":
            self._show(MessageType.Error, words(error))
        else:
            log.info("%s", error)
            if self._of_daemon.level in ("normal", "progress"):  # else it is what went wrong
                self._change(Status("warning", error.message, error.hint))

    def refused(self, reason: str) -> None:
        """A request was not sent at all."""
        self._show(MessageType.Info, f"Vicinal: {reason}")

    def tell_status(self) -> None:
        """Send the status if it is another one."""
        status = self.status
        if status.level == "normal" and not self._automatic():
            status = Status("normal", "automatic completions are off")
        if status != self._sent:
            self._sent = status
            told = {"kind": KINDS[status.level], "busy": status.level == "progress", "message": status.message}
            self._send_status(told | {"hint": status.hint})

    def _change(self, status: Status) -> None:
        if status == self.status:
            return
        self.status = status
        self.tell_status()
        if status.level == "error":
            self.say_once(MessageType.Error, _words(status.message, status.hint))


def words(error: "VicinalError") -> str:
    """An error, for a user."""
    return _words(error.message, error.hint)


def _words(message: str, hint: str) -> str:
    return f"Vicinal: {message.removesuffix('.')}. {hint}" if hint else f"Vicinal: {message}"
