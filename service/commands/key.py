"""`fontanelle key`: who may call the API and see the pages."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fontanelle.records.database import Transaction

ROLES = ("read", "review", "admin")
"""As `fontanelle.records.keys.Role` has them; a test compares."""


@click.group("key")
def command() -> None:
    """Create, revoke and list API keys.

    Works beside a running `fontanelle up` and without one.
    """


@command.command("create")
@click.argument("name")
@click.option("--person", "holder", flag_value="person", help="NAME is a person: may review.")
@click.option("--system", "holder", flag_value="system", help="NAME is a program, such as a RIS.")
@click.option("--role", type=click.Choice(ROLES), default="read", show_default=True)
def create(name: str, holder: str | None, role: str) -> None:
    """Make a key for NAME and print its secret, this once.

    read sees everything; review may also ask for analyses, try again, cancel and, as a person,
    review and send; admin everything.
    """
    from fontanelle.records import keys

    if holder is None:
        raise click.UsageError("Say whose key it is: --person or --system.")
    if not name.strip() or not name.isprintable():
        raise click.UsageError("NAME must have at least one character, and printable ones only.")
    with _records(make=True) as session:
        secret = keys.create(session, name.strip(), keys.Holder(holder), keys.Role(role))
    click.echo("This is the key; it is shown this once, and only its digest is kept:", err=True)
    click.echo(secret)


@command.command("revoke")
@click.argument("key_id", type=click.IntRange(min=1))
def revoke(key_id: int) -> None:
    """End the key KEY_ID (see `list`) and the browser sessions of its holder."""
    from fontanelle.records import keys

    with _records() as session:
        keys.revoke(session, key_id)
    click.echo(f"key {key_id} is revoked")


@command.command("list")
def list_keys() -> None:
    """Print all keys, revoked ones too; never a secret."""
    from fontanelle.records import keys
    from service.terminal import Table

    with _records() as session:
        found = keys.all_keys(session)
    rows = tuple(
        (
            f"{key.key_id}  {key.name}",
            key.holder.value,
            key.role.value,
            f"{key.created_at:%Y-%m-%d}",
            "valid" if key.revoked_at is None else f"revoked {key.revoked_at:%Y-%m-%d}",
        )
        for key in found
    )
    if not rows:
        click.echo("There is no key yet: fontanelle key create --help", err=True)
        return
    click.echo("\n".join(Table(("key", "holder", "role", "made", "state"), rows, True).lines()))


@contextmanager
def _records(*, make: bool = False) -> "Iterator[Transaction]":
    from fontanelle.records.database import Records
    from fontanelle.settings import load, secret
    from service.supervisor.addresses import with_database

    def say(line: str) -> None:
        click.echo(line, err=True)

    with with_database(load(os.environ), make=make, say=say) as settings:
        url = secret(settings.database_url, "database_url")
        with Records.open(url, connections=1) as records, records.begin() as session:
            yield session
