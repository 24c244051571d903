"""The role `listener`: takes instances by C-STORE until it is told to stop."""

import logging
from contextlib import ExitStack, suppress

from fontanelle import log
from fontanelle.errors import Unavailable
from fontanelle.imaging.attributes import keep_values_out_of_logs
from fontanelle.records import processes
from fontanelle.records.database import Records
from fontanelle.records.files import Spool
from fontanelle.settings import Settings, secret
from service.listener.dimse import serve
from service.listener.indexing import ROLE, Indexer
from service.signals import until_stopped

_log = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Serve C-STORE until SIGTERM; with the database away instances are kept all the same."""
    log.configure(ROLE)
    keep_values_out_of_logs()
    stopped = until_stopped()
    with ExitStack() as stack:
        records = stack.enter_context(Records.open(secret(settings.database_url, "database_url")))
        spool = stack.enter_context(Spool(settings.spool).writing())
        stack.callback(_leave, records)
        quiet_periods_s = {each.ae_title: each.quiet_period_s for each in settings.sources}
        indexer = stack.enter_context(Indexer(records, spool, quiet_periods_s))
        listener = stack.enter_context(serve(settings, spool, indexer.kept, indexer.refused))
        log.event(_log, "listener.ready", port=listener.port)
        stopped.wait()


def _leave(records: Records) -> None:
    """Say, once nothing of it is at work any more, that it has ended."""
    with suppress(Unavailable), records.begin() as session:
        processes.leave(session, ROLE)
