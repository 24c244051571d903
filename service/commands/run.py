"""`fontanelle run`: one role, as `up`, containers and Kubernetes start it."""

import os
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from fontanelle.settings import Settings

ROLES: Final = {
    "listener": "service.listener.main:run",
    "api": "service.api.main:run",
    "dispatcher": "service.dispatcher:run",
    "worker": "worker.main:run",
    "courier": "service.delivery.courier:run",
}


@click.command("run")
@click.argument("role", type=click.Choice(list(ROLES)))
def command(role: str) -> None:
    """Serve one ROLE until SIGTERM. Settings come from the file and the environment.

    A database and a message broker have to be there: `fontanelle up` brings its own.
    """
    from fontanelle import log
    from fontanelle.errors import Code, Refused
    from fontanelle.settings import load
    from service.supervisor.addresses import addressed

    settings = addressed(load(os.environ))
    missing = [name for name in ("database_url", "broker_url") if getattr(settings, name) is None]
    if missing:
        names = " and ".join(f"FONTANELLE_{name.upper()}" for name in missing)
        raise Refused(
            Code.SETTINGS_INVALID,
            f"{names} must be set to run one role; `fontanelle up` brings servers of its own.",
        )
    log.configure(role)
    # What we write is a patient's.
    os.umask(0o077)
    entry(role)(settings)


def entry(role: str) -> "Callable[[Settings], None]":
    """Return the function that serves a role."""
    module, _, name = ROLES[role].partition(":")
    found: Callable[[Settings], None] = getattr(import_module(module), name)
    return found
