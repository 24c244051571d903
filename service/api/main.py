"""The role `api`: serves HTTP until it is told to stop."""

import logging
from contextlib import ExitStack

import uvicorn

from fontanelle import log
from fontanelle.records.database import Records
from fontanelle.records.files import LocalStore
from fontanelle.settings import Settings, secret
from service.api.app import create_app
from service.signals import until_stopped

ROLE = "api"
CONNECTIONS = 10
"""To the database; half as many again wait behind them."""

_log = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Serve the API and the pages until SIGTERM; what is in hand is answered first."""
    log.configure(ROLE)
    with ExitStack() as stack:
        url = secret(settings.database_url, "database_url")
        records = stack.enter_context(Records.open(url, connections=CONNECTIONS))
        app = create_app(settings, records, LocalStore(settings.results))
        log.event(_log, "api.ready", port=settings.api.port)
        # uvicorn raises the signal again once it has ended; without a handler of ours that kills us
        # before the records are closed.
        until_stopped()
        uvicorn.Server(
            uvicorn.Config(
                app,
                host=settings.api.host,
                port=settings.api.port,
                # Paths hold UIDs, and the log shall hold none.
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=int(settings.supervisor.stop_s),
            )
        ).run()
