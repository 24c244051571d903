"""The command `fontanelle`: a table of names, and how a run ends.

Nothing is imported before a command is called: `fontanelle --help` has to answer at once.
"""

import sys
import traceback
from collections.abc import Sequence
from typing import Final

import click

from fontanelle.errors import FontanelleError, Refused, Unavailable
from service.lazy import LazyGroup

COMMANDS: Final = {
    "alive": ("service.commands.alive", "Say whether a role of this machine is well."),
    "analyse": ("service.commands.analyse", "Measure one series or study, without a service."),
    "db": ("service.commands.db", "Upgrade, downgrade and check the database's schema."),
    "demo": ("service.commands.demo", "Measure a synthetic toddler's head, or a series of yours."),
    "doctor": ("service.commands.doctor", "Say what is missing, each with its remedy."),
    "key": ("service.commands.key", "Create, revoke and list API keys."),
    "models": (
        "service.commands.models",
        "List, show, verify, train, export and evaluate packages; label and pseudo-label.",
    ),
    "norms": (
        "service.commands.norms",
        "List, show, import, export, enter, fit, calibrate and compare references.",
    ),
    "run": ("service.commands.run", "Serve one role until stopped."),
    "send": ("service.commands.send", "Send a folder by C-STORE, with progress."),
    "settings": ("service.commands.settings", "Show every setting and where it came from."),
    "status": ("service.commands.status", "Show what is waiting, running, failed, undelivered."),
    "up": ("service.commands.up", "Serve everything until stopped."),
}

BUG: Final = 1
WRONG_USAGE: Final = 2
REFUSED: Final = 3
UNAVAILABLE: Final = 4
INTERRUPTED: Final = 130

EXIT_CODES: Final[dict[type[FontanelleError], int]] = {
    Refused: REFUSED,
    Unavailable: UNAVAILABLE,
}
"""The whole of what a caller needs to know of our errors; 0 is done, 1 is our own bug."""


@click.group(
    cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="fontanelle")
def command() -> None:
    """Measure the brain of a small child from a head CT that was taken anyway.

    Research software, not a medical device; trained on synthetic CT.

    \b
    Exit codes: 0 done, 1 our own bug, 2 wrong usage, 3 the input is refused or the
    result withheld, 4 something that is needed is away or wrong.
    """  # noqa: D301 (\b is click's: keep these lines as they are)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; says on stderr what went wrong.

    Parameters
    ----------
    arguments
        Without the program's name; None takes those of the process.
    """
    try:
        return command.main(args=arguments, prog_name="fontanelle", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return WRONG_USAGE
    except click.Abort:
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except FontanelleError as error:
        click.echo(f"{error.reason.code}: {error.reason.sentence}", err=True)
        return next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))
    except Exception as error:  # noqa: BLE001 (outermost: a bug is shown, without its values)
        click.echo(_traceback(error), err=True)
        return BUG


_BUG_NOTE: Final = (
    "This is a bug of Fontanelle; please report the lines above. Values are left out, as they\n"
    "could be a patient's; PYTHONDEVMODE=1 shows them."
)


def main() -> None:
    """Enter from the command line."""
    sys.exit(run())


def _traceback(error: BaseException) -> str:
    """Return where it happened, and no exception's text: that could name a patient.

    Who wants the text, and knows whose it is, asks Python's development mode for it.
    """
    if sys.flags.dev_mode:
        return "".join(traceback.format_exception(error))
    lines = []
    cause: BaseException | None = error
    while cause is not None:
        lines += [*traceback.format_tb(cause.__traceback__), f"{type(cause).__qualname__}\n"]
        cause = cause.__cause__ or cause.__context__
        lines += ["Caused by\n"] if cause else []
    return "".join(lines) + _BUG_NOTE


if __name__ == "__main__":
    main()
