"""The role `api`: serves HTTP until it is told to stop."""

import logging
import socket
from contextlib import ExitStack
from typing import Final

import uvicorn

from fontanelle import log
from fontanelle.records.database import Records
from fontanelle.records.files import LocalStore
from fontanelle.settings import Settings, secret
from service.api.app import create_app
from service.signals import until_stopped
from service.supervisor.ports import usable

ROLE: Final = "api"
CONNECTIONS: Final = 10
"""To the database; as many again where they are needed for a moment."""

_log = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Serve the API and the pages until SIGTERM; what is in hand is answered first.

    Raises
    ------
    Unavailable
        PORT_TAKEN.
    """
    log.configure(ROLE)
    # uvicorn ends at a signal and raises it again: ours takes it, and we end as usual.
    until_stopped()
    api = settings.api
    with ExitStack() as stack:
        url = secret(settings.database_url, "database_url")
        records = stack.enter_context(Records.open(url, connections=CONNECTIONS))
        app = create_app(settings, records, LocalStore(settings.results))
        _Server(
            uvicorn.Config(
                app,
                host=api.host,
                port=usable(api.host, api.port, "FONTANELLE_API_PORT"),
                # Paths hold UIDs, and the log shall hold none.
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=int(settings.supervisor.stop_s),
            )
        ).run()


class _Server(uvicorn.Server):
    """Says when it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        log.event(_log, "api.ready", port=self.config.port)
