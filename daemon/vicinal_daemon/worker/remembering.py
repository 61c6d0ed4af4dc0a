"""What the engine process remembers of repositories: the tokens of the last few, for its token-level memory.

Owns which repositories these are, and whose memory a unit is given. It does not know who sends texts, nor when.
"""

from collections import OrderedDict

from vicinal_daemon.generate.codec import Codec
from vicinal_daemon.generate.remembered import Remembered
from vicinal_daemon.memory import Gate, Memory
from vicinal_daemon.worker.messages import Memorised, Remember, Write

MOST_WORKSPACES = 4
"""Whose tokens are kept; the one that was longest not written in gives way."""


class Remembering:
    """The tokens of the last repositories.

    Args:
        gate: how far a memory is believed; None: as it comes with Vicinal.
    """

    def __init__(self, codec: Codec, gate: Gate | None = None) -> None:
        self._codec = codec
        self._gate = gate
        self._repositories: OrderedDict[str, Remembered] = OrderedDict()  # the last used at the end
        self._nothing = Remembered(codec, gate)

    def change(self, unit: Remember) -> Memorised:
        """Learn and forget files of a repository; one without files is not kept, nor one that this fails for."""
        repository = self._repositories.setdefault(unit.workspace, Remembered(self._codec, self._gate))
        try:
            repository.change(dict(unit.replaced), unit.dropped)
        except BaseException:
            del self._repositories[unit.workspace]
            raise
        if not repository.files:
            del self._repositories[unit.workspace]
        elif len(self._repositories) > MOST_WORKSPACES:
            self._repositories.popitem(last=False)
        return Memorised(repository.tokens, tuple(self._repositories))

    def of(self, unit: Write) -> Memory | None:
        """What a text is written with: the memory of its repository and of the open file, None for no memory."""
        if unit.memory is None:
            return None
        repository = self._repositories.get(unit.memory)
        if repository is not None:
            self._repositories.move_to_end(unit.memory)
        target = unit.prompt.target
        return (repository or self._nothing).at(target.path, target.left, target.right, unit.unremembered)
