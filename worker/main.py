"""The role `worker`: takes analyses one by one until it is told to stop."""

import logging
from contextlib import ExitStack

from fontanelle import log
from fontanelle.clock import SystemClock
from fontanelle.records import leases, processes
from fontanelle.records.database import Records
from fontanelle.settings import Settings, secret
from worker.app import app
from worker.composition import installed, register
from worker.heartbeat import Heartbeat

_log = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Work until SIGTERM: what is in hand is finished, the rest waits for the next worker."""
    log.configure(leases.WORKER)
    with ExitStack() as stack:
        records = stack.enter_context(Records.open(secret(settings.database_url, "database_url")))
        heartbeat = stack.enter_context(Heartbeat(records, settings.worker, SystemClock()))
        workshop = stack.enter_context(installed(settings, records, heartbeat))
        register(records, workshop.tools)
        log.event(_log, "worker.ready", engine=workshop.tools.engine.description.provider)
        app.conf.update(broker_url=secret(settings.broker_url, "broker_url"))
        # Celery's own handler of SIGTERM waits for the running task.
        app.Worker(pool="solo", loglevel="CRITICAL", quiet=True).start()
        with records.begin() as session:
            processes.leave(session, leases.WORKER)
