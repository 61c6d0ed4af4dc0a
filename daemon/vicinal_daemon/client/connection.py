"""Is there a daemon, and how is it reached.

Owns that answer. It asks the daemon nothing: `daemon.json` and the process it names are enough.
"""

from dataclasses import dataclass, field

from vicinal_daemon.config import Settings
from vicinal_daemon.place import UNIX, Place, Serving, fingerprint


@dataclass(frozen=True, slots=True)
class Connection:
    """A daemon that runs. `token` is None where the socket's mode protects it."""

    serving: Serving
    token: str | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        """Of the daemon."""
        return self.serving.pid

    @property
    def address(self) -> str:
        """`unix:PATH` or `http://127.0.0.1:PORT`."""
        return self.serving.address

    @property
    def socket(self) -> str | None:
        """The path of the Unix socket; None if the daemon listens on a port."""
        return self.address.removeprefix(UNIX) if self.address.startswith(UNIX) else None

    def is_alive(self) -> bool:
        """Whether its process still runs."""
        return self.serving.is_alive()

    def suits(self, settings: Settings) -> bool:
        """Whether the daemon runs with these settings, as far as no request can change them."""
        return self.serving.fingerprint == fingerprint(settings)


def find(settings: Settings) -> Connection | None:
    """The daemon of the place that these settings name; None if there is none, or its process is gone."""
    place = Place.of(settings)
    serving = place.serving()
    if serving is None or not serving.is_alive():
        return None
    return Connection(serving, None if serving.address.startswith(UNIX) else place.token())
