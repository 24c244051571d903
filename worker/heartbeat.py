"""Signs of life of a worker: one thread that says it is here and renews the lease that it holds."""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self

from fontanelle import log
from fontanelle.clock import Clock
from fontanelle.errors import Code, Unavailable
from fontanelle.records import leases, processes
from fontanelle.records.database import Records
from fontanelle.records.leases import Lease
from fontanelle.settings import WorkerSettings

_log = logging.getLogger(__name__)
EXIT_WALL_LIMIT: Final = 70
"""Exit code of a worker that ended itself: its attempt took longer than any may."""


class Heartbeat:
    """Beats every `heartbeat_s` while open; beside a lease it also watches the wall limit."""

    def __init__(self, records: Records, settings: WorkerSettings, clock: Clock) -> None:
        self._records = records
        self._settings = settings
        self._clock = clock
        self._held: tuple[Lease, float] | None = None
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
        """Renew a lease for as long as the context is open."""
        self._held = (lease, self._clock.monotonic_s())
        try:
            yield
        finally:
            self._held = None

    def _run(self) -> None:
        while not self._closed.is_set():
            held = self._held
            if held is not None:
                self._watch(*held)
            try:
                self._beat(held[0] if held else None)
            except Unavailable as error:
                # Away: the next beat may reach it. Lost: what the attempt writes is refused.
                if error.reason.code is not Code.DATABASE_AWAY:
                    log.failure(_log, "worker.lease", error)
            self._closed.wait(self._settings.heartbeat_s)

    def _beat(self, lease: Lease | None) -> None:
        with self._records.begin() as session:
            processes.beat(session, leases.WORKER, analysis_id=lease.analysis_id if lease else None)
            if lease is not None and lease is (self._held or (None,))[0]:
                leases.renew(
                    session,
                    lease,
                    lease_s=self._settings.lease_s,
                    wall_limit_s=self._settings.wall_limit_s,
                )

    def _watch(self, lease: Lease, since_s: float) -> None:
        if self._clock.monotonic_s() - since_s > self._settings.wall_limit_s:
            log.warning(_log, "worker.wall_limit", analysis=lease.analysis_id)
            # Not an exception: the thread that is stuck would never see it. The sweep takes over.
            os._exit(EXIT_WALL_LIMIT)
