"""A command for each way in which a command can end."""

import click

from fontanelle.errors import Code, Refused, Unavailable


@click.group("end")
def command() -> None:
    pass


@command.command("well")
def well() -> None:
    click.echo("done")


@command.command("refused")
def refused() -> None:
    raise Refused(Code.POSITION_DUPLICATE, "3 slices share a position.")


@command.command("unavailable")
def unavailable() -> None:
    raise Unavailable(Code.ENGINE_ABSENT, "OpenVINO is not installed.")


@command.command("bug")
def bug() -> None:
    try:
        {}["SMITH^ANNA"]  # noqa: B018
    except KeyError as error:
        raise RuntimeError("cannot read SMITH^ANNA") from error


@command.command("interrupted")
def interrupted() -> None:
    raise click.Abort


@command.command("withheld")
@click.pass_context
def withheld(ctx: click.Context) -> None:
    ctx.exit(3)
