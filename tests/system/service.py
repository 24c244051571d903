"""`fontanelle up` as a process of its own: started, looked at from outside, killed and stopped.

    with running(installed, folder, no_auth=True) as up:
        ...  # send to up.address, ask up.get("/api/v1/series"), kill up.pid("worker")

Whatever happens in between, nobody who serves from the folder is left at the end.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, TypeVar

import psutil

from tests.system.configuration import IN_A_HURRY, Address, Sections, as_toml, merged
from tests.waiting import until

ROLES = ("listener", "api", "dispatcher", "worker", "courier")
SERVERS = ("postgresql", "valkey")
HTTP_LIMIT_S = 60.0
UNDER_WAY = frozenset({"receiving", "complete", "queued", "running"})

Json = dict[str, Any]
Found = TypeVar("Found")


@dataclass(frozen=True)
class Answer:
    """What HTTP gave."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:  # noqa: ANN401 (as it comes)
        return json.loads(self.body)


class Up:
    """One data folder and its settings; `start` may be called again after `stop` or `kill`."""

    def __init__(
        self, installed: Path, folder: Path, settings: Sections, *, no_auth: bool = False
    ) -> None:
        self.data = folder / "data"
        self.key: str | None = None
        """What requests carry unless they say otherwise."""
        self._installed = installed
        self._folder = folder
        self._options = ("--no-auth",) if no_auth else ()
        self._process: subprocess.Popen[bytes] | None = None
        self.said = ""
        """All that `up` has printed so far, over all its starts."""
        (folder / "settings.toml").write_text(as_toml(settings), encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        """What every command of this installation runs with."""
        kept = {name: value for name, value in os.environ.items() if "FONTANELLE" not in name}
        kept |= {"PYTHONWARNINGS": "default"}
        return kept | {
            "PYTHONPATH": str(self._installed),
            "FONTANELLE_SETTINGS": str(self._folder / "settings.toml"),
            "FONTANELLE_DATA": str(self.data),
        }

    def command(self, *arguments: str | Path) -> list[str]:
        """Return the installed product's command."""
        return [sys.executable, "-P", "-m", "service.cli", *map(str, arguments)]

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run another command of this installation to its end."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self._folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def start(self) -> None:
        """Start `up` and wait until it says that it is ready."""
        self._launch()
        until(self._is_ready, 2 * HTTP_LIMIT_S)

    def stop(self) -> None:
        """End it as a service manager does, and see that nobody is left."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(HTTP_LIMIT_S)
        self._gather()
        left = self.processes()
        assert (code, left) == (0, []), self.said

    def kill(self) -> None:
        """`kill -9` of `up` itself."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._gather()

    def bury(self) -> None:
        """Take note of its end."""
        if self._process is not None:
            self._process.wait()
            self._process = None

    def processes(self) -> list[psutil.Process]:
        """Return all processes that serve from the folder, whoever started them."""
        return [each for each in psutil.process_iter() if _serves(each, self.data)]

    def pid(self, name: str) -> int:
        """Return the process of `up`, of a role or of a server, once there is one."""
        if name == "up":
            assert self._process is not None
            return self._process.pid
        return waited_for(lambda: self._pids(name))[0]

    def kill_child(self, name: str) -> int:
        """`kill -9` of a role or a server; return whom, once another one is in its place."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        # Not merely gone: its other threads, and sockets, may live for a moment longer.
        until(lambda: [each for each in self._pids(name) if each != pid])
        return pid

    @property
    def address(self) -> Address:
        """Where it takes associations."""
        said = re.findall(r"^DICOM  (\S+)@(\S+):(\d+)$", self._output(), re.MULTILINE)[-1]
        return Address(said[0], said[1], int(said[2]))

    @property
    def http(self) -> tuple[str, int]:
        """Where it serves HTTP."""
        host, port = re.findall(r"^HTTP   http://(\S+):(\d+)/$", self._output(), re.MULTILINE)[-1]
        return host, int(port)

    @property
    def servers(self) -> Json:
        """The addresses of its own PostgreSQL and Valkey."""
        found: Json = json.loads((self.data / "running.json").read_text(encoding="utf-8"))
        return found

    def request(
        self, method: str, path: str, body: object = None, key: str | None = None, **headers: str
    ) -> Answer:
        """Make a request; `key` is sent instead of the usual one."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key or self.key:
            sent["Authorization"] = f"Bearer {key or self.key}"
        content = None
        if body is not None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = HTTPConnection(*self.http, timeout=HTTP_LIMIT_S)
        try:
            connection.request(method, path, content, sent)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def get(self, path: str, key: str | None = None) -> Answer:
        """Fetch something."""
        return self.request("GET", path, key=key)

    def post(self, path: str, body: object = None, key: str | None = None) -> Answer:
        """Ask for something to be done."""
        return self.request("POST", path, body, key)

    def items(self, path: str) -> list[Json]:
        """Fetch a list of the API, all its pages, waiting while something that it needs is away."""
        found: list[Json] = []
        cursor = ""
        while True:
            mark = "&" if "?" in path else "?"
            page = self._patiently(f"/api/v1/{path}{mark}limit=100{cursor}").json()
            found += page["items"]
            if page.get("next") is None:
                return found
            cursor = f"&cursor={page['next']}"

    def series(self, series_instance_uid: str) -> Json:
        """Return what the API says of one series, its analyses with it."""
        (found,) = self._patiently(f"/api/v1/series/{series_instance_uid}").json()["items"]
        return dict(found)

    def analysis(self, number: int) -> Json:
        """Return the analysis object of an id."""
        return dict(self._patiently(f"/api/v1/analyses/{number}").json())

    def settled(self, series_instance_uid: str) -> Json:
        """Return a series once nothing more will become of it by itself."""
        return waited_for(lambda: self._if_settled(series_instance_uid))

    def logs(self) -> dict[str, str]:
        """Return what `up`, each role and each server has said, by name."""
        found = {
            path.name: path.read_text(encoding="utf-8", errors="replace")
            for path in sorted((self.data / "logs").glob("*"))
        }
        return found | {"up": self.said + (self._output() if self._process else "")}

    def _launch(self) -> None:
        with self._file("out").open("wb") as out, self._file("err").open("wb") as err:
            self._process = subprocess.Popen(
                self.command("up", "--data", self.data, *self._options),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=self._folder,
                env=self.environment,
            )

    def _file(self, name: str) -> Path:
        return self._folder / f"up.{name}"

    def _output(self) -> str:
        files = [self._file(name) for name in ("out", "err")]
        return "".join(path.read_text(errors="replace") for path in files if path.exists())

    def _is_ready(self) -> bool:
        assert self._process is not None
        said = self._output()
        assert self._process.poll() is None and "again and again" not in said, said
        return self._file("out").read_text().endswith("ready\n")

    def _gather(self) -> None:
        self.said += self._output()
        self._process = None

    def _pids(self, name: str) -> list[int]:
        return [each.pid for each in self.processes() if _is_called(each, name)]

    def _patiently(self, path: str) -> Answer:
        """Fetch something; an API that is away, or says that it waits, is asked again."""

        def fetched() -> Answer | None:
            with suppress(OSError, HTTPException):
                answer = self.get(path)
                if answer.status == 200:
                    return answer
                assert answer.status in {404, 503}, answer.text
            return None

        return waited_for(fetched)

    def _if_settled(self, series_instance_uid: str) -> Json | None:
        found = self.series(series_instance_uid)
        states = {found["state"], *(each["state"] for each in found["analyses"])}
        return None if states & UNDER_WAY else found


@contextmanager
def running(
    installed: Path, folder: Path, settings: Sections | None = None, *, no_auth: bool = False
) -> Iterator[Up]:
    """Serve from a folder; nobody serves from it afterwards.

    Parameters
    ----------
    settings
        Sections that differ from `IN_A_HURRY`; a section's values are taken one by one.
    no_auth
        Whether keys are off.
    """
    up = Up(installed, folder, merged(IN_A_HURRY, settings or {}), no_auth=no_auth)
    try:
        up.start()
        yield up
        up.stop()
    except BaseException:
        for name, text in up.logs().items():
            print(f"--- {name}\n{text[-3000:]}")  # noqa: T201 (pytest shows it with the failure)
        raise
    finally:
        for each in up.processes():
            with suppress(psutil.NoSuchProcess):
                each.kill()
        until(lambda: not up.processes())
        up.bury()


def at_work(up: Up, series_instance_uid: str) -> int:
    """Return the analysis of a series as soon as a worker has it."""

    def running_one() -> list[int]:
        found = up.series(series_instance_uid)["analyses"]
        return [each["id"] for each in found if each["state"] == "running"]

    return waited_for(running_one)[0]


def waited_for(look: Callable[[], Found | None]) -> Found:
    """Return what a look gives, once it gives something."""
    found: list[Found] = []

    def looked() -> bool:
        if seen := look():
            found.append(seen)
        return bool(found)

    until(looked)
    return found[0]


def _serves(process: psutil.Process, data: Path) -> bool:
    """Tell whether a process lives and was started for a data folder, or lives in it."""
    with suppress(psutil.Error):
        if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
            return False
        named = process.environ().get("FONTANELLE_DATA") == str(data)
        texts = (*process.cmdline(), process.cwd())
        return named or any(str(data) in text for text in texts)
    return False


def _is_called(process: psutil.Process, name: str) -> bool:
    with suppress(psutil.Error):
        said = process.cmdline()
        if name in ROLES:
            return said[-2:] == ["run", name]
        program = Path(said[0].split(" ")[0]).name
        if name == "postgresql":
            # Its own children call themselves `postgres: ...`.
            return program == "postgres" and "-D" in said
        return program.startswith(("valkey-server", "redis-server"))
    return False
