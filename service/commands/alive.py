"""`fontanelle alive`: whether a role of this machine is well, for health checks of containers."""

import os
import socket
from typing import TYPE_CHECKING

import click

from service.commands.run import ROLES

if TYPE_CHECKING:
    from fontanelle.settings import Settings


@click.command("alive")
@click.argument("role", type=click.Choice(list(ROLES)))
def command(role: str) -> None:
    """Say whether this machine's ROLE gave a sign of life lately. Exit code 4 where it did not.

    The listener and the API have to answer at their ports; dispatcher, worker and courier leave
    signs in the database. Takes the settings that the role was started with.
    """
    from fontanelle.errors import Code, Unavailable
    from fontanelle.settings import load
    from service.supervisor.addresses import addressed

    settings = addressed(load(os.environ))
    look = _does_not_answer if role in {"listener", "api"} else _gave_no_sign
    lack = look(settings, role)
    if lack:
        raise Unavailable(Code.ROLE_SILENT, lack)
    click.echo(f"the {role} is alive")


def _does_not_answer(settings: "Settings", role: str) -> str | None:
    from service.supervisor import probes
    from service.supervisor.keeper import Sign

    listener, api = settings.listener, settings.api
    if role == "listener":
        sign, at = probes.listener(listener.host, listener.port), f"{listener.host}:{listener.port}"
        return None if sign is Sign.ALIVE else f"Nothing that speaks DICOM answers at {at}."
    sign, at = probes.api(api.host, api.port), f"{api.host}:{api.port}"
    return None if sign is Sign.ALIVE else f"No API that is well answers at {at}."


def _gave_no_sign(settings: "Settings", role: str) -> str | None:
    import psutil

    from fontanelle.records.database import Records
    from fontanelle.records.processes import beats
    from fontanelle.settings import secret

    url = secret(settings.database_url, "database_url")
    with Records.open(url, connections=1) as records, records.begin() as session:
        found = beats(session)
    limit_s, ours = settings.supervisor.stalled_s, f"{role}@{socket.gethostname()}:"
    for beat in found:
        # A process that was killed leaves its last sign behind.
        if beat.name.startswith(ours) and beat.silent_s <= limit_s and psutil.pid_exists(beat.pid):
            return None
    return f"No {role} of this machine gave a sign of life in the last {limit_s:g} s."
