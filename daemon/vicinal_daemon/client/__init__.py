"""How others reach the daemon: find it, start it, ask it, end it.

Owns the client's side of the API. Imports neither torch nor lancedb nor any part of a server, and imports fast.
"""

from vicinal_daemon.client.connection import Connection, find
from vicinal_daemon.client.http import Client, OnEvent
from vicinal_daemon.client.start import StopWay, ensure, start, stop

__all__ = ["Client", "Connection", "OnEvent", "StopWay", "ensure", "find", "start", "stop"]
