"""Time is handed in, so that a test can hold it."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The two times that there are."""

    def now(self) -> datetime:
        """Return the time of day, aware, UTC: for rows and people."""
        ...

    def monotonic_s(self) -> float:
        """Return a time that never goes back: for limits and durations."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the time of day, aware, UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Return a time that never goes back."""
        return time.monotonic()
