"""`fontanelle up`: servers, listener, API, dispatcher, worker and courier, until stopped."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fontanelle.settings import Settings


@click.command("up")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="The one folder of spool, results and servers.",
)
@click.option("--no-auth", is_flag=True, help="Ask for no API key. On loopback only, please.")
def command(data: Path | None, *, no_auth: bool) -> None:
    """Serve everything until stopped (Ctrl-C or SIGTERM).

    Starts PostgreSQL and Valkey too where FONTANELLE_DATABASE_URL and FONTANELLE_BROKER_URL name
    none. `fontanelle settings` shows what can be set.
    """
    from fontanelle import settings as settings_module
    from fontanelle.reports.notice import NOTICE
    from service.supervisor.main import run

    environment = dict(os.environ)
    if no_auth:
        environment["FONTANELLE_API_REQUIRE_KEY"] = "false"
    settings = settings_module.load(environment, data=data)
    click.echo(NOTICE)
    # What we write is a patient's.
    os.umask(0o077)
    run(settings, say=lambda line: click.echo(line, err=True), tell=_tell)


def _tell(settings: "Settings") -> None:
    from service.supervisor.doors import open_doors

    listener, api = settings.listener, settings.api
    click.echo(f"DICOM  {listener.ae_title}@{listener.host}:{listener.port}")
    click.echo(f"HTTP   http://{_in_url(api.host)}:{api.port}/")
    click.echo(f"data   {settings.data}")
    for door in open_doors(settings):
        click.echo(f"Warning: {door}", err=True)
    if api.require_key and not _has_key(settings):
        click.echo("There is no API key yet: fontanelle key create --help", err=True)
    click.echo("ready")


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _has_key(settings: "Settings") -> bool:
    from fontanelle.records.database import Records
    from fontanelle.records.keys import all_keys

    assert settings.database_url is not None  # noqa: S101
    with (
        Records.open(settings.database_url.get_secret_value()) as records,
        records.begin() as session,
    ):
        return any(key.revoked_at is None for key in all_keys(session))
