"""The role `api` as a process: it serves, it stops when told to, and its log names nobody."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fontanelle.records import keys
from fontanelle.records.database import Records
from fontanelle.records.keys import Holder, Role
from tests.integration.api.house import CANARY
from tests.servers import free_port

PATIENCE_S = 60.0
PROGRAM = """
import os
from fontanelle.settings import load
from service.api.main import run
run(load(os.environ))
"""


def environment(database_url: str, data: Path, port: int) -> dict[str, str]:
    ours = {k: v for k, v in os.environ.items() if not k.startswith("FONTANELLE_")}
    return ours | {
        "FONTANELLE_DATABASE_URL": database_url,
        "FONTANELLE_DATA": str(data),
        "FONTANELLE_API_PORT": str(port),
    }


@contextmanager
def serving(database_url: str, data: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Serve as a process; give it and its address."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", PROGRAM],
        env=environment(database_url, data, port),
        stderr=subprocess.PIPE,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + PATIENCE_S
        while asked(f"{address}/healthz") != 200:
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.05)
        yield process, address
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def asked(url: str, secret: str = "") -> int:
    request = urllib.request.Request(url, headers={"X-API-Key": secret})  # noqa: S310 (loopback)
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310 (loopback)
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def test_it_serves_until_it_is_told_to_stop_and_logs_no_address(
    database_url: str, tmp_path: Path
) -> None:
    with Records.open(database_url) as records, records.begin() as session:
        secret = keys.create(session, "Dr Ada", Holder.PERSON, Role.READ)

    with serving(database_url, tmp_path) as (process, address):
        assert asked(f"{address}/readyz") == 200
        assert asked(f"{address}/api/v1/analyses") == 401
        assert asked(f"{address}/api/v1/analyses?since={CANARY}", secret) == 422
        assert asked(f"{address}/api/v1/series/{CANARY}", secret) == 422
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 0
    events = [json.loads(line) for line in said.decode().splitlines()]
    assert "api.ready" in [each["event"] for each in events]
    assert CANARY not in said.decode() and secret not in said.decode()


def test_it_starts_while_the_database_is_away_and_says_what_is_missing(tmp_path: Path) -> None:
    with serving("postgresql://nobody@127.0.0.1:1/none", tmp_path) as (_, address):
        assert asked(f"{address}/healthz") == 200
        assert asked(f"{address}/readyz") == 503
        assert asked(f"{address}/api/v1/analyses", "any") == 503


def test_a_port_that_is_taken_is_said_to_be(database_url: str, tmp_path: Path) -> None:
    with serving(database_url, tmp_path) as (_, address):
        done = subprocess.run(
            [sys.executable, "-P", "-c", PROGRAM],
            env=environment(database_url, tmp_path, int(address.rpartition(":")[2])),
            check=False,
            capture_output=True,
            timeout=PATIENCE_S,
        )

    assert done.returncode != 0
    assert b"servers.port:" in done.stderr
