"""How each role shows that it makes progress. A process that merely exists shows nothing.

The listener and the API answer at their ports. Dispatcher, worker and courier leave signs of life
in the database, and must take what is due: one that beats while the oldest due work stays the
same is stuck (a worker is deaf, for one, when its connection to the broker was cut in silence).
"""

import http.client
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final
from urllib.parse import unquote, urlsplit

from fontanelle.errors import Unavailable
from fontanelle.records.processes import Beat, Overdue
from service.embedded.valkey import answers
from service.supervisor.keeper import Sign

Probe = Callable[[int], Sign]
"""Looks at the process of this id."""
ANSWER_LIMIT_S: Final = 5.0
READ_EVERY_S: Final = 0.2
BROKER_PORTS: Final = {"redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671}
_SAME_S: Final = 2.0
"""Two readings of one row's age may differ by so much."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What the database tells of the roles at one time."""

    beats: tuple[Beat, ...]
    overdue: Overdue


@dataclass(frozen=True, slots=True)
class Patience:
    """From when on a role that works by rows is stuck, in seconds."""

    stalled_s: float
    wall_limit_s: float
    delivery_s: float
    """A delivery may wait behind one whose destination says nothing."""


def listener(host: str, port: int) -> Sign:
    """Tell whether a DICOM peer takes connections.

    We hang up before a word is said, and see whether it does too: an association that is asked
    for, or a message out of turn, would be counted as refused or hold one of its threads.
    """
    with suppress(OSError), socket.create_connection((reached(host), port), ANSWER_LIMIT_S) as peer:
        peer.shutdown(socket.SHUT_WR)
        # The kernel takes connections for a process that hangs, and never ends one for it.
        peer.recv(1)
        return Sign.ALIVE
    return Sign.SILENT


def api(host: str, port: int) -> Sign:
    """Tell whether the API says that it is healthy."""
    connection = http.client.HTTPConnection(reached(host), port, timeout=ANSWER_LIMIT_S)
    try:
        connection.request("GET", "/healthz")
        return Sign.ALIVE if connection.getresponse().status == http.HTTPStatus.OK else Sign.SILENT
    except (OSError, http.client.HTTPException):
        return Sign.SILENT
    finally:
        connection.close()


def broker_answers(url: str) -> bool:
    """Tell whether a message broker can be reached; while it is away nobody can be told of work."""
    parts = urlsplit(url)
    if parts.scheme == "redis+socket":
        return answers(Path(unquote(parts.path)))
    address = (parts.hostname or "127.0.0.1", parts.port or BROKER_PORTS.get(parts.scheme, 6379))
    with suppress(OSError), socket.create_connection(address, ANSWER_LIMIT_S):
        return True
    return False


def reached(host: str) -> str:
    """Return where a server can be reached that listens on this address."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (compared only)


class RowProbes:
    """Looks at dispatcher, worker and courier through the database.

    Parameters
    ----------
    read
        Reads the rows; raises Unavailable while the database is away.
    has_broker
        Tells whether the message broker can be reached.
    """

    def __init__(
        self,
        read: Callable[[], Rows],
        has_broker: Callable[[], bool],
        patience: Patience,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._read = read
        self._has_broker = has_broker
        self._patience = patience
        self._clock = clock
        self._wall_clock = wall_clock
        self._lock = Lock()
        self._rows: Rows | None = None
        self._read_at = -READ_EVERY_S
        self._looked_at = wall_clock()
        self._well_since = clock()
        self._waiting: dict[str, _Waiting] = {}

    def dispatcher(self, pid: int) -> Sign:
        """Tell whether series are judged and messages sent."""
        rows = self._current()
        sign = self._beating(rows, "dispatcher", pid)
        if sign is Sign.STUCK and not self._has_broker():
            # It waits for the broker, and is given time once that is back.
            self._well_since = self._clock()
            return Sign.UNKNOWN
        if rows is None or sign is not Sign.ALIVE:
            return sign
        limit_s = self._patience.stalled_s
        series_wait = self._waits("series", pid, rows.overdue.series_s, limit_s)
        unsent = self._waits("outbox", pid, rows.overdue.outbox_s, limit_s)
        return Sign.STUCK if series_wait or (unsent and self._has_broker()) else sign

    def worker(self, pid: int) -> Sign:
        """Tell whether queued analyses are taken, and none runs for too long."""
        rows = self._current()
        beat = _beat(rows, "worker", pid)
        if beat is not None and (beat.working_s or 0.0) > self._patience.wall_limit_s:
            return Sign.STUCK
        sign = self._beating(rows, "worker", pid)
        if rows is None or sign is not Sign.ALIVE:
            return sign
        queued_s = None if rows.overdue.outbox_s is not None else rows.overdue.analysis_s
        waits = self._waits("analysis", pid, queued_s, self._patience.stalled_s)
        return Sign.STUCK if waits and self._has_broker() else sign

    def courier(self, pid: int) -> Sign:
        """Tell whether due deliveries are tried."""
        rows = self._current()
        sign = self._beating(rows, "courier", pid)
        if rows is None or sign is not Sign.ALIVE:
            return sign
        overdue_s = rows.overdue.delivery_s
        waits = self._waits("delivery", pid, overdue_s, self._patience.delivery_s)
        return Sign.STUCK if waits else sign

    def _current(self) -> Rows | None:
        """Return the rows, at most so old; None while the database is away."""
        with self._lock:
            if self._clock() - self._read_at >= READ_EVERY_S:
                self._notice_a_gap()
                try:
                    self._rows = self._read()
                except Unavailable:
                    self._rows = None
                self._read_at = self._clock()
                if self._rows is None:
                    self._well_since = self._clock()
                    self._waiting.clear()
            return self._rows

    def _notice_a_gap(self) -> None:
        """Begin anew where nobody looked for long: the whole machine may have been asleep."""
        at = self._wall_clock()
        if abs(at - self._looked_at) > self._patience.stalled_s / 2:
            self._well_since = self._clock()
            self._waiting.clear()
        self._looked_at = at

    def _beating(self, rows: Rows | None, role: str, pid: int) -> Sign:
        if rows is None:
            return Sign.UNKNOWN
        beat = _beat(rows, role, pid)
        if beat is None:
            return Sign.SILENT
        if beat.silent_s <= self._patience.stalled_s:
            return Sign.ALIVE
        # While the database was away nobody could leave a sign.
        back_s = self._clock() - self._well_since
        return Sign.STUCK if back_s > self._patience.stalled_s else Sign.UNKNOWN

    def _waits(self, kind: str, pid: int, overdue_s: float | None, limit_s: float) -> bool:
        """Tell whether this process has left the same work undone for longer than the limit."""
        with self._lock:
            if overdue_s is None:
                self._waiting.pop(kind, None)
                return False
            at = self._clock()
            work = _Waiting(pid, at - overdue_s, at)
            known = self._waiting.get(kind)
            if known is None or known.pid != pid or abs(known.due_at - work.due_at) > _SAME_S:
                self._waiting[kind] = known = work
            return at - known.seen_at > limit_s


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Since when which process has left work undone that was due at this time."""

    pid: int
    due_at: float
    seen_at: float


def _beat(rows: Rows | None, role: str, pid: int) -> Beat | None:
    """Return the sign of a process of this machine."""
    name = f"{role}@{socket.gethostname()}:{pid}"
    return next((each for each in rows.beats if each.name == name), None) if rows else None


def table(
    listener_at: tuple[str, int], api_at: tuple[str, int], rows: RowProbes
) -> Mapping[str, Probe]:
    """Return how each role is looked at."""
    return {
        "listener": lambda _: listener(*listener_at),
        "api": lambda _: api(*api_at),
        "dispatcher": rows.dispatcher,
        "worker": rows.worker,
        "courier": rows.courier,
    }
