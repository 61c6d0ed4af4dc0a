"""The daemon's files. They are in `vicinal_daemon.place`, which the client reads too; here for those who serve."""

from vicinal_daemon.place import Place, Serving, fingerprint

__all__ = ["Place", "Serving", "fingerprint"]
