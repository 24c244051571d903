"""Where the servers of an installation are, for a command that runs beside `up` or without it."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from fontanelle.errors import Code, Unavailable
from fontanelle.settings import Settings
from service.embedded.postgres import Postgres
from service.embedded.server import Say, silent
from service.supervisor.folder import running


def addressed(settings: Settings) -> Settings:
    """Return the settings with the addresses, and ports, at which the `up` of the folder serves."""
    found = running(settings.data)
    if found is None:
        return settings
    (_, listener_port), (_, api_port) = found.listener, found.api
    update: dict[str, object] = {
        "listener": settings.listener.model_copy(update={"port": listener_port}),
        "api": settings.api.model_copy(update={"port": api_port}),
    }
    if settings.database_url is None and found.database_url is not None:
        update["database_url"] = SecretStr(found.database_url)
    if settings.broker_url is None and found.broker_url is not None:
        update["broker_url"] = SecretStr(found.broker_url)
    return settings.model_copy(update=update)


@contextmanager
def with_database(
    settings: Settings, *, make: bool = False, say: Say = silent
) -> Iterator[Settings]:
    """Give settings that name a database: the configured one, that of `up`, or one started here.

    Parameters
    ----------
    settings
        As they were loaded.
    make
        Where the data folder has no database yet, make one, with the tables of this version.
    say
        Is told what is waited for.

    Raises
    ------
    Unavailable
        DATABASE_AWAY where there is none.
    """
    settings = addressed(settings)
    if settings.database_url is not None:
        yield settings
        return
    if not make and not (settings.data / "postgresql").is_dir():
        raise Unavailable(
            Code.DATABASE_AWAY,
            f"There is no database in {settings.data}: start `fontanelle up`, or set "
            "FONTANELLE_DATABASE_URL.",
        )
    with Postgres(settings.data, fsync=settings.supervisor.fsync, say=say) as server:
        if make:
            from fontanelle.records.migrate import upgrade

            upgrade(server.url)
        yield settings.model_copy(update={"database_url": SecretStr(server.url)})
