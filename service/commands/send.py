"""`fontanelle send`: a folder or archive to a DICOM receiver, and what it said of each instance."""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import click

from fontanelle.errors import Code, Reason, Refused
from service.cli import REFUSED, UNAVAILABLE
from service.delivery.outcomes import DUPLICATE, SUCCESS, Outcome, Sent, words

if TYPE_CHECKING:
    from service.delivery.sendable import Sendable
    from service.delivery.wire import Peer

LOOPBACK: Final = "127.0.0.1"
ANYWHERE: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 (compared with, not bound to)
"""Addresses that one listens on, but does not send to."""

SECONDS_A_LINE: Final = 2.0

_LOST: Final = frozenset({Code.DESTINATION_AWAY, Code.DESTINATION_REFUSED, Code.DESTINATION_SILENT})


@click.command("send")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--to", "to", metavar="AE@HOST:PORT", help="The receiver; this installation's unless said."
)
@click.option("--from", "calling", metavar="AE", help="How to call ourselves: FONTANELLE-SEND.")
@click.option(
    "--associations",
    type=click.IntRange(1, 16),
    default=1,
    show_default=True,
    help="How many at once.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    *,
    path: Path,
    to: str | None,
    calling: str | None,
    associations: int,
    as_json: bool,
) -> None:
    """Send the DICOM instances in PATH: a folder, a tar or zip of one, or a file.

    Bytes go as they lie in the files. Files that are not DICOM are counted and passed over.

    \b
    Exit codes: 0 all are stored, 3 some were refused or cannot be read, 4 the receiver
    is away, refuses the association or stopped answering.
    """  # noqa: D301 (\b is click's)
    from fontanelle.imaging.attributes import keep_values_out_of_logs
    from fontanelle.imaging.files import opened

    keep_values_out_of_logs()
    peer = _peer(to, calling)
    with opened(path) as files:
        tally = send_files(files, peer, associations)
    if as_json:
        click.echo(json.dumps(tally.as_json(peer), indent=2))
    else:
        click.echo("\n".join(tally.lines(peer)))
    ctx.exit(tally.exit_code)


@dataclass(slots=True)
class Tally:
    """What became of all files."""

    not_dicom: int = 0
    unreadable: Counter[Reason] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    not_sent: Counter[Reason] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """Count what became of one instance."""
        if isinstance(outcome, Sent):
            self.statuses[outcome.status] += 1
        else:
            self.not_sent[outcome.reason] += 1

    @property
    def exit_code(self) -> int:
        """0 only if all instances are stored."""
        if any(reason.code in _LOST for reason in self.not_sent):
            return UNAVAILABLE
        return REFUSED if self.unreadable or self.not_sent or self._refused else 0

    @property
    def _refused(self) -> dict[int, int]:
        return {s: n for s, n in sorted(self.statuses.items()) if not Sent(s).is_stored}

    @property
    def is_any_stored(self) -> bool:
        """Whether the receiver has any of them now."""
        return bool(self._stored or self._there)

    @property
    def _there(self) -> int:
        return self.statuses[DUPLICATE]

    @property
    def _stored(self) -> dict[int, int]:
        return {
            s: n for s, n in sorted(self.statuses.items()) if Sent(s).is_stored and s != DUPLICATE
        }

    def lines(self, peer: "Peer") -> Iterator[str]:
        """Give the summary for a person."""
        yield f"{sum(self._stored.values())} stored by {peer.ae_title}@{peer.host}:{peer.port}"
        for status, count in self._stored.items():
            if status != SUCCESS:
                yield f"  of these {count}: {words(status)}"
        if self._there:
            yield f"{self._there} there already"
        for status, count in self._refused.items():
            yield f"{count} refused: {words(status)}"
        for reason, count in (self.not_sent + self.unreadable).items():
            yield f"{count} not sent: {reason.code}: {reason.sentence}"
        if self.not_dicom:
            yield f"{self.not_dicom} passed over: not DICOM"

    def as_json(self, peer: "Peer") -> dict[str, object]:
        """Return the summary for a machine."""
        return {
            "to": {"ae_title": peer.ae_title, "host": peer.host, "port": peer.port},
            "stored": sum(self._stored.values()),
            "there_already": self._there,
            "refused": sum(self._refused.values()),
            "statuses": [
                {"status": f"0x{status:04X}", "count": count, "sentence": words(status)}
                for status, count in sorted(self.statuses.items())
            ],
            "not_sent": [
                {"code": reason.code, "sentence": reason.sentence, "count": count}
                for reason, count in (self.not_sent + self.unreadable).items()
            ],
            "not_dicom": self.not_dicom,
        }


def _peer(to: str | None, calling: str | None) -> "Peer":
    """Return the receiver: as said, or this installation's own listener."""
    from fontanelle.settings import SEND_AE_TITLE, load
    from service.delivery.wire import Peer
    from service.supervisor.addresses import addressed

    settings = load(os.environ)
    if to is None:
        listener = addressed(settings).listener
        host = LOOPBACK if listener.host in ANYWHERE else listener.host
        ae_title, port = listener.ae_title, listener.port
    else:
        ae_title, host, port = _address(to)
    return Peer(
        ae_title,
        host,
        port,
        _ae_title(calling or SEND_AE_TITLE, "--from"),
        settings.courier.timeout_s,
    )


def _address(text: str) -> tuple[str, str, int]:
    ae_title, at, rest = text.rpartition("@")
    host, colon, port = rest.rpartition(":")
    if not (at and colon and host and port.isdecimal() and 0 < int(port) < 65536):
        raise click.BadParameter(
            "say AE@HOST:PORT, for instance PACS@10.0.0.7:104", param_hint="--to"
        )
    return _ae_title(ae_title, "--to"), host.strip("[]"), int(port)


def _ae_title(text: str, hint: str) -> str:
    from pydantic import TypeAdapter, ValidationError

    from fontanelle.settings import AETitle

    try:
        found: str = TypeAdapter(AETitle).validate_python(text)
    except ValidationError as error:
        raise click.BadParameter(
            "an AE title has 1 to 16 printable characters and no backslash", param_hint=hint
        ) from error
    return found


def send_files(files: Sequence[Path], peer: "Peer", associations: int) -> Tally:
    """Send all that is DICOM among the files, with progress on stderr.

    Raises
    ------
    Refused
        INPUT_NO_DICOM where nothing is.
    """
    from service.delivery.store_scu import store_all

    tally = Tally()
    with _progress("reading", len(files)) as step:
        instances = list(_sendables(files, tally, step))
    if not instances and not tally.unreadable:
        raise Refused(Code.INPUT_NO_DICOM, "The folder or archive holds no DICOM instance.")
    with _progress("sending", len(instances)) as step:
        for _, outcome in store_all(peer, instances, associations):
            tally.add(outcome)
            step()
    return tally


def _sendables(files: Sequence[Path], tally: Tally, step: "Step") -> Iterator["Sendable"]:
    from service.delivery.sendable import read_sendable

    for file in files:
        try:
            found = read_sendable(file)
        except Refused as refused:
            tally.unreadable[refused.reason] += 1
        else:
            if found is None:
                tally.not_dicom += 1
            else:
                yield found
        step()


class Step(Protocol):
    """Says that one more is done."""

    def __call__(self) -> None: ...


@contextmanager
def _progress(what: str, total: int) -> Iterator[Step]:
    """Show how far it is: a bar on a terminal, a line now and then elsewhere; on stderr."""
    if not sys.stderr.isatty():
        yield _lines(what, total)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)


def _lines(what: str, total: int) -> Step:
    done, said_s = 0, time.monotonic()

    def step() -> None:
        nonlocal done, said_s
        done += 1
        if done == total or time.monotonic() - said_s > SECONDS_A_LINE:
            said_s = time.monotonic()
            click.echo(f"{what}: {done} of {total}", err=True)

    return step
