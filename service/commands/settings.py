"""`fontanelle settings`: every setting, its value, and where it came from."""

import json
import os

import click


@click.command("settings")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(*, as_json: bool) -> None:
    """Show every setting, its value (secrets as ***) and where it came from.

    FONTANELLE_SETTINGS names a TOML file; FONTANELLE_<SECTION>_<NAME> sets one value and wins.
    """
    from fontanelle.settings import explained, load

    lines = explained(load(os.environ), os.environ)
    if as_json:
        shown = {line.name: {"value": line.value, "origin": line.origin} for line in lines}
        click.echo(json.dumps(shown, indent=1))
        return
    width = max(len(line.name) for line in lines)
    for line in lines:
        click.echo(f"{line.name.ljust(width)}  {json.dumps(line.value)}  ({line.origin})")
