"""How a role is told to stop."""

import signal
import threading
from queue import SimpleQueue
from types import FrameType


def until_stopped() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set, however often and fast they come."""
    stopped = threading.Event()
    told: SimpleQueue[int] = SimpleQueue()

    def stop(number: int, _frame: FrameType | None) -> None:
        # Not the event itself: a signal that comes while an event is being set, or while the main
        # thread begins to wait for it, would wait for ever for its lock. This queue has none.
        told.put(number)

    def pass_on() -> None:
        told.get()
        stopped.set()

    threading.Thread(target=pass_on, name="signals", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return stopped
