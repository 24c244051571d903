"""A private Orthanc for tests: free ports on loopback, a folder of its own, gone afterwards.

    with orthanc() as server:
        ...  # send to server.ae_title, server.host, server.port
        assert server.sop_instance_uids() == {...}

Mark the tests that use it with `@pytest.mark.peer("Orthanc")`.
"""

import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

from tests.servers import free_port

AE_TITLE = "ORTHANC"
START_LIMIT_S = 60.0
STOP_LIMIT_S = 20.0
_PASSWORD = base64.b16encode(os.urandom(8)).decode()  # Orthanc insists on users; nobody else's.


@dataclass(frozen=True, slots=True)
class Modality:
    """Whom Orthanc knows, and where it would send to."""

    ae_title: str
    port: int = 104
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Orthanc:
    """A running one."""

    ae_title: str
    host: str
    port: int
    """Where it takes DICOM associations."""
    http_port: int
    pid: int

    def instances(self) -> list[str]:
        """Return Orthanc's own ids of all instances that it holds."""
        found: list[str] = self.get_json("/instances")
        return found

    def raw_file(self, instance: str) -> bytes:
        """Return an instance as Orthanc stored it: a Part 10 file, by Orthanc's own id."""
        return self.get(f"/instances/{instance}/file")

    def sop_instance_uids(self) -> list[str]:
        """Return the SOP Instance UIDs of all instances, sorted."""
        return sorted(self._tag(each, "SOPInstanceUID") for each in self.instances())

    def file_of(self, sop_instance_uid: str) -> bytes:
        """Return the Part 10 file of one SOP Instance UID."""
        found = [e for e in self.instances() if self._tag(e, "SOPInstanceUID") == sop_instance_uid]
        if len(found) != 1:
            raise LookupError(f"Orthanc holds {len(found)} instances of that UID")
        return self.raw_file(found[0])

    def send(self, modality: str, *resources: str) -> None:
        """Have Orthanc send resources (its own ids) to a modality by C-STORE; wait for the end."""
        body = {"Resources": list(resources), "Synchronous": True}
        self._request(f"/modalities/{modality}/store", json.dumps(body).encode())

    def get_json(self, path: str) -> Any:  # noqa: ANN401 (as the REST call has it)
        """Return what a REST call answers."""
        return json.loads(self.get(path))

    def get(self, path: str) -> bytes:
        """Return the body that a REST call answers."""
        return self._request(path, None)

    def _tag(self, instance: str, keyword: str) -> str:
        tags = self.get_json(f"/instances/{instance}/simplified-tags")
        return str(tags[keyword])

    def _request(self, path: str, body: bytes | None) -> bytes:
        request = urllib.request.Request(  # noqa: S310 (loopback, our own child)
            f"http://127.0.0.1:{self.http_port}{path}", data=body
        )
        credentials = base64.b64encode(f"tests:{_PASSWORD}".encode()).decode()
        request.add_header("Authorization", f"Basic {credentials}")
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            content: bytes = answer.read()
        return content


@contextmanager
def orthanc(
    modalities: Mapping[str, Modality] | None = None,
    *,
    ae_title: str = AE_TITLE,
    port: int | None = None,
    more: Mapping[str, object] | None = None,
) -> Iterator[Orthanc]:
    """Start an Orthanc, wait until it answers, stop it and remove its folder at the end.

    Parameters
    ----------
    modalities
        By Orthanc's name for them; with `more={"DicomAlwaysAllowStore": False}` these alone may
        send to it.
    port
        For DICOM; a free one unless said.
    more
        Further entries of its configuration file; they win.
    """
    http_port = free_port()
    dicom_port = free_port() if port is None else port
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orthanc-tests-")))
        known = {
            name: [each.ae_title, each.host, each.port] for name, each in (modalities or {}).items()
        }
        configuration = {
            "Name": "tests",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "index"),
            "Plugins": [],
            "DicomAet": ae_title,
            "DicomPort": dicom_port,
            "DicomCheckCalledAet": True,
            "DicomModalities": known,
            "HttpPort": http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True,
            "RegisteredUsers": {"tests": _PASSWORD},
            "HttpsVerifyPeers": False,
            **(more or {}),
        }
        path = folder / "orthanc.json"
        path.write_text(json.dumps(configuration), encoding="utf-8")
        log = stack.enter_context((folder / "log").open("wb"))
        child = subprocess.Popen(
            [shutil.which("Orthanc") or "Orthanc", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env=os.environ | {"TCP_NODELAY": "1"},
        )
        stack.callback(_stop, child)
        server = Orthanc(ae_title, "127.0.0.1", dicom_port, http_port, child.pid)
        _wait_until_up(server, child, folder / "log")
        yield server


def _wait_until_up(server: Orthanc, child: "subprocess.Popen[bytes]", log: Path) -> None:
    limit_s = time.monotonic() + START_LIMIT_S
    while time.monotonic() < limit_s:
        if child.poll() is not None:
            break
        try:
            server.get("/system")
            with socket.create_connection((server.host, server.port), timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.05)
    said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise RuntimeError(f"Orthanc did not start: {said}")


def _stop(child: "subprocess.Popen[bytes]") -> None:
    child.terminate()
    try:
        child.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
