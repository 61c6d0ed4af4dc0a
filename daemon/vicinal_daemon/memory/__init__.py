"""A token-level memory: what followed, elsewhere in the repository, on what has just been written.

Owns the tokens of the repository, the search for the longest matches, and how what they say is mixed into the model's
next-token distribution. Nothing is trained for it at a request. Pure numpy; it knows neither models nor files.
"""

from vicinal_daemon.memory.gate import Gate, default_gate
from vicinal_daemon.memory.memory import Memory
from vicinal_daemon.memory.store import Tokens, TokenStore

__all__ = ["Gate", "Memory", "TokenStore", "Tokens", "default_gate"]
