"""Looking at real peers: one that serves, one that hangs, one that is not there."""

import http.server
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.embedded.valkey import Valkey
from service.supervisor import probes
from service.supervisor.keeper import Sign
from tests.servers import free_port

LISTENER = """
import sys, threading
from pynetdicom import AE
from pynetdicom.sop_class import Verification
ae = AE("PEER")
ae.add_supported_context(Verification)
ae.start_server(("127.0.0.1", int(sys.argv[1])), block=False)
print("serves", flush=True)
threading.Event().wait()
"""


@contextmanager
def peer(port: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", LISTENER, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "serves\n"
            yield process
        finally:
            process.kill()


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "ANSWER_LIMIT_S", 2.0)


def test_a_listener_that_serves_is_told_from_one_that_hangs_and_one_that_is_gone() -> None:
    port = free_port()
    with peer(port) as process:
        assert probes.listener("127.0.0.1", port) is Sign.ALIVE
        assert probes.listener("0.0.0.0", port) is Sign.ALIVE  # noqa: S104

        process.send_signal(signal.SIGSTOP)

        assert probes.listener("127.0.0.1", port) is Sign.SILENT
    assert probes.listener("127.0.0.1", port) is Sign.SILENT


class _Api(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:  # noqa: N802 (the name that http.server wants)
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class _SickApi(_Api):
    status = 503


@pytest.mark.parametrize(("kind", "sign"), [(_Api, Sign.ALIVE), (_SickApi, Sign.SILENT)])
def test_an_api_is_alive_if_it_says_that_it_is(kind: type[_Api], sign: Sign) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), kind) as server:
        port = server.server_address[1]
        assert isinstance(port, int)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            assert probes.api("127.0.0.1", port) is sign
        finally:
            server.shutdown()
            thread.join()
    assert probes.api("127.0.0.1", port) is Sign.SILENT


def test_a_broker_behind_a_socket_or_a_port_is_there_or_not(data_folder: Path) -> None:
    with Valkey(data_folder) as server:
        assert probes.broker_answers(server.url)
    assert not probes.broker_answers(server.url)

    port = free_port()
    with peer(port):
        assert probes.broker_answers(f"redis://:secret@127.0.0.1:{port}/0")
    assert not probes.broker_answers(f"redis://127.0.0.1:{port}")
