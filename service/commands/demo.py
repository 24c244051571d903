"""`fontanelle demo`: the whole service on this machine, one head sent to it, its report fetched.

Nothing is taken short: real servers, a real association, the roles as processes, HTTP.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from fontanelle.errors import Code, Refused, Unavailable
from service.cli import REFUSED
from service.output import output_folder

if TYPE_CHECKING:
    from fontanelle.settings import Settings
    from service.supervisor.supervisor import Supervisor

Json = Mapping[str, Any]
Say = Callable[[str], None]
QUIET_PERIOD_S: Final = 2.0
LIMIT_S: Final = 900.0
POLL_S: Final = 0.2
OBJECTS: Final = ("segmentation.dcm", "report.dcm", "labels.nii.gz", "overlay.png", "report.json")
UNDER_WAY: Final = frozenset({"receiving", "complete", "queued", "running"})


@click.command("demo")
@click.option(
    "--series",
    type=click.Path(path_type=Path),
    help="Send this instead: a DICOM folder or archive.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("demo-output"),
    show_default=True,
    help="Folder for the results.",
)
@click.pass_context
def command(ctx: click.Context, series: Path | None, out: Path) -> None:
    """Start the service on this machine, send a head CT to it, and show what comes of it.

    A synthetic toddler's head, or a series or study of yours. All that was started is ended.
    """
    from service import terminal

    click.echo(terminal.NOTICE)
    started_s = time.monotonic()

    def say(sentence: str) -> None:
        click.echo(f"{time.monotonic() - started_s:5.1f} s  {sentence}", err=True)

    if series is not None and not series.exists():
        raise Refused(Code.INPUT_NOT_FOUND, "There is no file or folder of that name.")
    with output_folder(out, reading=series) as folder:
        # The head is drawn while the roles are starting.
        with _service(say) as served, _input(series, say) as path:
            served.wait_ready(say)
            _send(path, served, say)
            report, files = _result(served, say)
        written = folder.write(files) if files else []
    if report is None:
        ctx.exit(REFUSED)
    terminal.show(report, coloured=sys.stdout.isatty())
    terminal.show_files(written)
    ctx.exit(0 if report["measurements"] else REFUSED)


@dataclass(frozen=True, slots=True)
class Served:
    """Where the demo's own service serves."""

    supervisor: "Supervisor"

    @property
    def settings(self) -> "Settings":
        """The settings with the ports that were found."""
        return self.supervisor.settings

    def wait_ready(self, say: Say) -> None:
        """Wait until every role is well."""
        self.supervisor.wait_ready()
        listener = self.settings.listener
        say(f"serving: C-STORE {listener.ae_title}@{listener.host}:{listener.port}")

    def get(self, path: str) -> bytes:
        """Fetch something over HTTP.

        Raises
        ------
        Unavailable
            ROLE_FAILS where the API does not give it.
        """
        from urllib.error import URLError
        from urllib.request import urlopen

        api = self.settings.api
        try:
            with urlopen(f"http://{api.host}:{api.port}{path}", timeout=60) as answer:  # noqa: S310
                content: bytes = answer.read()
        except URLError as error:
            raise Unavailable(Code.ROLE_FAILS, "The API does not answer as it should.") from error
        return content

    def items(self, path: str) -> list[Json]:
        """Fetch the first page of a list."""
        import json

        found: list[Json] = json.loads(self.get(f"/api/v1/{path}"))["items"]
        return found


@contextmanager
def _input(series: Path | None, say: Say) -> Iterator[Path]:
    if series is not None:
        yield series
        return
    with tempfile.TemporaryDirectory(prefix="fontanelle-demo-") as folder:
        say("writing a synthetic toddler's head")
        write_phantom(Path(folder))
        yield Path(folder)


def write_phantom(folder: Path) -> None:
    """Write the plain phantom: a boy of two, 224 slices of 0.625 mm."""
    from models.phantom.head import Recipe, make
    from models.phantom.scan import Field, View, grid
    from models.phantom.series import Header, write_series

    write_series(folder, make(Recipe()), grid(View.AXIAL, Field()), Header())


@contextmanager
def _service(say: Say) -> Iterator[Served]:
    """Run everything on a data folder of its own, until closed."""
    from fontanelle.settings import (
        SEND_AE_TITLE,
        ApiSettings,
        ListenerSettings,
        Settings,
        Source,
    )
    from service.supervisor.supervisor import Supervisor

    with _data_folder() as data:
        settings = Settings(
            data=data,
            sources=(Source(ae_title=SEND_AE_TITLE, quiet_period_s=QUIET_PERIOD_S),),
            listener=ListenerSettings(port=0, minimum_free_bytes=0),
            api=ApiSettings(port=0, require_key=False),
        )
        say("starting PostgreSQL, Valkey, listener, API, dispatcher, worker and courier")
        with Supervisor(settings, say=say) as supervisor:
            yield Served(supervisor)
            say("stopping")


@contextmanager
def _data_folder() -> Iterator[Path]:
    """Give a folder that the embedded servers can reach, and remove all of it."""
    from service.embedded.postgres import discard

    with tempfile.TemporaryDirectory(prefix="fontanelle-data-") as folder:
        data = Path(folder) / "data"
        # Passable, not readable: as root the embedded PostgreSQL runs as another user.
        Path(folder).chmod(0o711)
        try:
            yield data
        finally:
            discard(data)


def _send(path: Path, served: Served, say: Say) -> None:
    from fontanelle.imaging.files import opened
    from fontanelle.settings import SEND_AE_TITLE
    from service.commands.send import send_files
    from service.delivery.wire import Peer

    listener = served.settings.listener
    peer = Peer(listener.ae_title, listener.host, listener.port, SEND_AE_TITLE, 60.0)
    with opened(path) as files:
        tally = send_files(files, peer, associations=1)
    for line in tally.lines(peer):
        say(line)
    if not tally.is_any_stored:
        raise Refused(Code.INPUT_NO_DICOM, "The listener took none of the instances.")


def _result(served: Served, say: Say) -> tuple[Json | None, dict[str, bytes]]:
    """Wait until everything has ended; return the analysis object and its files."""
    import json

    from service.web.rendering import render_report_page

    _wait(served, say)
    for series in served.items("series"):
        if series["reasons"]:
            why = "; ".join(f"{r['code']}: {r['sentence']}" for r in series["reasons"])
            click.echo(f"not taken: series {series['series_instance_uid']}: {why}")
    analyses = served.items("analyses")
    if not analyses:
        return None, {}
    address = f"/api/v1/analyses/{analyses[0]['id']}"
    report: Json = json.loads(served.get(address))
    there = {each["href"].rpartition("/")[2] for each in report["objects"]}
    files = {name: served.get(f"{address}/{name}") for name in OBJECTS if name in there}
    files.setdefault("report.json", json.dumps(report, indent=2, ensure_ascii=False).encode())
    page = render_report_page(report, files.get("overlay.png"))
    return report, files | {"report.html": page.encode()}


def _wait(served: Served, say: Say) -> None:
    """Say what happens until nothing more will."""
    said: dict[str, str] = {}
    until_s = time.monotonic() + LIMIT_S
    while time.monotonic() < until_s:
        states = _states(served)
        for what, state in states.items():
            if said.get(what) != state:
                say(f"{what}: {state}")
        said = states
        if states and not UNDER_WAY & {state.split(" ", 1)[0] for state in states.values()}:
            return
        time.sleep(POLL_S)
    raise Unavailable(Code.ROLE_FAILS, f"Nothing came of it within {LIMIT_S:.0f} s.")


def _states(served: Served) -> dict[str, str]:
    series, analyses = served.items("series"), served.items("analyses")
    found = {
        f"series {number}": f"{each['state']} ({each['instances']} instances)"
        for number, each in enumerate(reversed(series), start=1)
    }
    for number, each in enumerate(reversed(analyses), start=1):
        fitness = f" ({each['fitness']})" if each["fitness"] else ""
        found[f"analysis {number}"] = f"{each['state']}{fitness}"
    return found
