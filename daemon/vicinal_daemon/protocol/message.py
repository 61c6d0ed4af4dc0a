"""What all messages have in common."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

PROTOCOL_VERSION: Literal[1] = 1


class Message(BaseModel):
    """A value that crosses a process boundary: nothing can be added to it, nothing changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")
