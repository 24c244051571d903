"""Signs of life of a worker: it is here, its lease holds, its attempt keeps the wall limit."""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Self

from fontanelle import log
from fontanelle.errors import Code, Unavailable
from fontanelle.records import leases, processes
from fontanelle.records.database import Records
from fontanelle.records.leases import Lease
from fontanelle.settings import WorkerSettings

_log = logging.getLogger(__name__)
EXIT_WALL_LIMIT: Final = 70
"""Exit code of a worker that ended itself: its attempt took longer than any may."""


@dataclass(slots=True, eq=False)
class _Held:
    lease: Lease
    is_lost: bool = False


class Heartbeat:
    """Beats at once and every `heartbeat_s` while open, in a thread of its own."""

    def __init__(self, records: Records, settings: WorkerSettings) -> None:
        self._records = records
        self._settings = settings
        self._held: _Held | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join()

    @contextmanager
    def holding(self, lease: Lease) -> Iterator[None]:
        """Renew a lease while the context is open; past the wall limit the process ends."""
        # Not a look at each beat: with a database that hangs there is none.
        limit = threading.Timer(self._settings.wall_limit_s, _end_process, (lease,))
        limit.daemon = True
        limit.start()
        self._held = _Held(lease)
        try:
            yield
        finally:
            self._held = None
            limit.cancel()

    def _run(self) -> None:
        is_away = False
        while True:
            try:
                self._beat()
                is_away = False
            except Unavailable as error:
                if not is_away:
                    log.failure(_log, "worker.waits", error)
                is_away = True
            except Exception as error:  # noqa: BLE001 (a thread that ended would lose every lease)
                log.failure(_log, "worker.beat_failed", error)
            if self._closed.wait(self._settings.heartbeat_s):
                return

    def _beat(self) -> None:
        held = self._held
        with self._records.begin() as session:
            processes.beat(
                session, leases.WORKER, analysis_id=held.lease.analysis_id if held else None
            )
        if held is not None and not held.is_lost:
            self._renew(held)

    def _renew(self, held: _Held) -> None:
        try:
            with self._records.begin() as session:
                leases.renew(
                    session,
                    held.lease,
                    lease_s=self._settings.lease_s,
                    wall_limit_s=self._settings.wall_limit_s,
                )
        except Unavailable as error:
            if error.reason.code is not Code.LEASE_LOST:
                raise
            # Unless it just ended. The attempt goes on; what it writes will be refused.
            held.is_lost = self._held is held
            if held.is_lost:
                lease = held.lease
                log.warning(
                    _log, "worker.lease_lost", analysis=lease.analysis_id, fence=lease.fence
                )


def _end_process(lease: Lease) -> None:
    log.warning(_log, "worker.wall_limit", analysis=lease.analysis_id, attempt=lease.attempt)
    # Not an exception: a thread that is stuck would never see it. The sweep takes over.
    os._exit(EXIT_WALL_LIMIT)
