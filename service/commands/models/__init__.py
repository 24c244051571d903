"""`fontanelle models`: a table of names; each command is imported when it is called."""

from typing import Final

import click

from service.lazy import LazyGroup

_HERE: Final = "service.commands.models"
COMMANDS: Final = {
    "list": (f"{_HERE}.listing:list_command", "List the packages that are shipped."),
    "show": (f"{_HERE}.listing:show_command", "Show what a package declares."),
    "verify": (f"{_HERE}.listing:verify_command", "Verify a package's files by their digests."),
    "train": (f"{_HERE}.training", "Train a network by a configuration."),
    "export": (f"{_HERE}.exporting", "Make a package of a checkpoint."),
    "evaluate": (f"{_HERE}.evaluating", "Judge a package on heads it was not trained on."),
    "label": (f"{_HERE}.labelling", "Apply a label protocol to a label map."),
    "pseudo-label": (f"{_HERE}.pseudo_labelling", "Carry labels over to a CT by registration."),
}


@click.group("models", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """Look after packages: list, train, export, judge them, and make labels to learn from."""
