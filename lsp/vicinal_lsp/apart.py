"""Work in a thread of its own, awaited on a loop.

Owns such threads: nothing ends one early, so the end of the process must not wait for it, as it does for a pool's.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


async def apart(work: Callable[[], Result], name: str) -> Result:
    """What `work` returns or raises. If nobody waits any more, it goes on to its end all the same."""
    promise: Future[Result] = Future()
    promise.set_running_or_notify_cancel()

    def run() -> None:
        try:
            promise.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised where the promise is awaited
            promise.set_exception(error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        return await asyncio.wrap_future(promise)
    finally:
        if promise.done():
            thread.join()  # it has nothing left to do
