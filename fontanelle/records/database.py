"""The way to PostgreSQL: one engine a process, one transaction a use case."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Self

from sqlalchemy import create_engine
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft
from sqlalchemy.orm import Session, sessionmaker

from fontanelle.errors import Code, Unavailable

DRIVER: Final = "postgresql+psycopg"
CONNECT_TIMEOUT_S: Final = 5
PATIENCE_S: Final = 30.0
LIMITS: Final = (
    "-c statement_timeout=60000 -c lock_timeout=15000 -c idle_in_transaction_session_timeout=60000"
)
"""No statement of ours takes a minute; one that does has met a fault and shall say so."""
AWAY: Final = "The database does not answer; work waits for it."
Transaction = Session
"""What `begin` gives; so called by those who may not know SQLAlchemy."""


def with_driver(url: str) -> str:
    """Return a PostgreSQL address with the driver that we use."""
    scheme, _, rest = url.partition("://")
    return f"{DRIVER}://{rest}" if scheme in {"postgresql", "postgres"} else url


@dataclass(frozen=True, slots=True)
class Records:
    """The records of one installation."""

    engine: Engine
    _sessions: sessionmaker[Session]

    @classmethod
    @contextmanager
    def open(
        cls, url: str, *, connections: int = 5, patience_s: float = PATIENCE_S
    ) -> Iterator[Self]:
        """Open; connects only when first used, so a database that is away hurts no start.

        Parameters
        ----------
        connections
            How many are kept open; twice as many there are at most.
        patience_s
            How long a transaction waits for one of them.
        """
        engine = create_engine(
            with_driver(url),
            pool_size=connections,
            max_overflow=connections,
            pool_timeout=patience_s,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT_S,
                "options": LIMITS,
                "application_name": "fontanelle",
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                # A machine that vanished while a statement was on its way to it.
                "tcp_user_timeout": 30_000,
            },
        )
        try:
            sessions = sessionmaker(
                engine,
                expire_on_commit=False,
                # Rows are moved by statements: what a session has read before is old.
                execution_options={"populate_existing": True},
            )
            yield cls(engine, sessions)
        finally:
            engine.dispose()

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """Give one transaction: committed at the end, rolled back on any error.

        Raises
        ------
        Unavailable
            DATABASE_AWAY if no connection can be had, or it is lost.
        """
        try:
            with self._sessions.begin() as session:
                yield session
        except (OperationalError, InterfaceError, NoConnectionLeft) as error:
            raise Unavailable(Code.DATABASE_AWAY, AWAY) from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise Unavailable(Code.DATABASE_AWAY, AWAY) from error
            raise
