"""`fontanelle norms`: a table of names; each command is imported when it is called."""

from typing import Final

import click

from service.lazy import LazyGroup

_HERE: Final = "service.commands.norms"
COMMANDS: Final = {
    "list": (f"{_HERE}.listing:list_command", "List the references that there are."),
    "show": (f"{_HERE}.listing:show_command", "Show what a reference says, region by region."),
    "import": (f"{_HERE}.importing:import_command", "Bring a reference or calibration in."),
    "export": (f"{_HERE}.importing:export_command", "Write a reference as JSON or CSV."),
    "enter": (f"{_HERE}.entering:enter_command", "Enter the tables of an article, as typed."),
    "fit": (f"{_HERE}.fitting:fit_command", "Make a reference from a hospital's own children."),
    "calibrate": (f"{_HERE}.fitting:calibrate_command", "Measure a site's offset on its normals."),
    "compare": (f"{_HERE}.comparing:compare_command", "Compare volumes with a reference."),
}


@click.group("norms", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """Look after references, and compare volumes with them."""
