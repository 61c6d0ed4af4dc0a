"""Which of torch's operators take the time.

Owns listening to them, which makes everything slower: a request that is listened to is not one that is timed.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from torch.utils._python_dispatch import TorchDispatchMode

from vicinal_daemon.profile.recorder import Recorder

Kind = Literal["matrix products", "attention", "other operators of torch"]

_PRODUCTS = frozenset(("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot", "linear", "mkldnn_linear", "matmul"))


def kind_of(operator: str) -> Kind:
    """What an operator of torch, by its name without overload, does."""
    if operator in _PRODUCTS:
        return "matrix products"
    return "attention" if "attention" in operator else "other operators of torch"


@contextmanager
def listening(recorder: Recorder) -> Iterator[None]:
    """Tell the recorder of every operator, for the length of the block; on a device that does one at a time."""
    with _Listener(recorder):
        yield


class _Listener(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, recorder: Recorder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._recorder = recorder

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        started = time.perf_counter()
        found = func(*args, **(kwargs or {}))
        self._recorder.add_operator(func.overloadpacket.__name__, time.perf_counter() - started)
        return found
