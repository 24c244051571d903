"""Brings the schema to this version and back, and says whether it is there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError

from fontanelle.errors import Code, Unavailable
from fontanelle.records.database import AWAY, CONNECT_TIMEOUT_S, with_driver

LOCK: Final = 0x464F4E54
"""Only one process migrates at a time: an advisory lock of PostgreSQL."""


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the schema up to a revision; nothing happens where it is there.

    Raises
    ------
    Unavailable
        DATABASE_AWAY; DATABASE_SCHEMA where this version knows no way there.
    """
    _run(url, lambda config: command.upgrade(config, revision))


def downgrade(url: str, revision: str) -> None:
    """Take the schema back to a revision; `base` is before the first table.

    Raises
    ------
    Unavailable
        DATABASE_AWAY; DATABASE_SCHEMA where this version knows no way there.
    """
    _run(url, lambda config: command.downgrade(config, revision))


def check(url: str) -> None:
    """Do nothing where the schema is the one that this version needs.

    Raises
    ------
    Unavailable
        DATABASE_AWAY, DATABASE_SCHEMA.
    """
    scripts = ScriptDirectory.from_config(_config())
    wanted = scripts.get_current_head()
    with _connected(url) as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    if found == wanted:
        return
    known = {script.revision for script in scripts.walk_revisions()}
    remedy = (
        "Run: fontanelle db upgrade"
        if found is None or found in known
        else "A later version made it: use that one."
    )
    raise Unavailable(
        Code.DATABASE_SCHEMA,
        f"The database is at revision {found or 'none'}, this version needs {wanted}. {remedy}",
    )


def _run(url: str, migrate: Callable[[Config], None]) -> None:
    with _connected(url) as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)").bindparams(lock=LOCK))
        config = _config()
        config.attributes["connection"] = connection
        try:
            migrate(config)
        except CommandError as error:
            raise Unavailable(
                Code.DATABASE_SCHEMA, f"This version knows no way there: {error}."
            ) from error
        connection.commit()


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    engine = create_engine(
        with_driver(url), connect_args={"connect_timeout": CONNECT_TIMEOUT_S}, hide_parameters=True
    )
    try:
        with engine.connect() as connection:
            yield connection
    except OperationalError as error:
        raise Unavailable(Code.DATABASE_AWAY, AWAY) from error
    finally:
        engine.dispose()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
