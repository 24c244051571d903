"""`fontanelle db`: brings the schema to this version, takes it back, says where it stands."""

import os

import click


@click.group("db")
def command() -> None:
    """Look after the schema of the records.

    The database is the one that FONTANELLE_DATABASE_URL names, or the embedded one of the data
    folder while `fontanelle up` runs.
    """


@command.command("upgrade")
@click.option("--revision", default="head", show_default=True, help="The revision to reach.")
def upgrade(revision: str) -> None:
    """Bring the schema up; nothing happens where it is there."""
    from fontanelle.records import migrate

    migrate.upgrade(_url(), revision)
    click.echo("the schema is at the wanted revision")


@command.command("downgrade")
@click.argument("revision")
def downgrade(revision: str) -> None:
    """Take the schema back to REVISION; `base` removes every table and what is in it."""
    from fontanelle.records import migrate

    migrate.downgrade(_url(), revision)
    click.echo(f"the schema is at {revision}")


@command.command("check")
def check() -> None:
    """Say whether the schema is the one that this version needs."""
    from fontanelle.records import migrate

    migrate.check(_url())
    click.echo("the schema is the one that this version needs")


def _url() -> str:
    from fontanelle.settings import load
    from service.commands.connect import database_url

    return database_url(load(os.environ))
