"""`fontanelle db`: brings the schema to this version, takes it back, says where it stands."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import click


@click.group("db")
def command() -> None:
    """Look after the schema of the records.

    The database is the one that FONTANELLE_DATABASE_URL names, or the embedded one of the data
    folder, whether `fontanelle up` runs or not.
    """


@command.command("upgrade")
@click.option("--revision", default="head", show_default=True, help="The revision to reach.")
def upgrade(revision: str) -> None:
    """Bring the schema up; nothing happens where it is there."""
    from fontanelle.records import migrate

    with _url() as url:
        migrate.upgrade(url, revision)
    click.echo("the schema is at the wanted revision")


@command.command("downgrade")
@click.argument("revision")
def downgrade(revision: str) -> None:
    """Take the schema back to REVISION; `base` removes every table and what is in it."""
    from fontanelle.records import migrate

    with _url() as url:
        migrate.downgrade(url, revision)
    click.echo(f"the schema is at {revision}")


@command.command("check")
def check() -> None:
    """Say whether the schema is the one that this version needs."""
    from fontanelle.records import migrate

    with _url() as url:
        migrate.check(url)
    click.echo("the schema is the one that this version needs")


@contextmanager
def _url() -> Iterator[str]:
    from fontanelle.settings import load, secret
    from service.supervisor.addresses import with_database

    with with_database(load(os.environ)) as settings:
        yield secret(settings.database_url, "database_url")
