"""`fontanelle up` from outside: closed doors, commands that answer, a clean start and end.

Keys are on here, as they are unless told otherwise.
"""

import json
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import psutil
import pytest

from tests.servers import _folder
from tests.system.service import ROLES, SERVERS, Up, running
from tests.waiting import is_gone

LIKELY_KEYS = ("", "admin", "changeme", "demo", "fontanelle", "password", "secret", "test", "token")
ANYWHERE = "0.0.0.0"  # noqa: S104 (said in settings that are to be warned of)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    yield from _folder()


@pytest.fixture(scope="module")
def up(installed: Path, folder: Path) -> Iterator[Up]:
    with running(installed, folder) as found:
        yield found


def test_it_says_where_it_serves_and_that_there_is_no_key_yet(up: Up) -> None:
    said = up.logs()["up"]

    assert said.startswith("Research software, not a medical device")
    assert f"DICOM  {up.address}" in said
    assert f"data   {up.data}" in said
    assert "There is no API key yet: fontanelle key create" in said


def test_nothing_listens_beyond_loopback(up: Up) -> None:
    listening = [
        (each.laddr.ip, each.laddr.port)
        for process in up.processes()
        for each in process.net_connections("inet")
        if each.status == psutil.CONN_LISTEN or each.type.name == "SOCK_DGRAM"
    ]

    assert all(ip_address(host).is_loopback for host, _ in listening)
    # PostgreSQL and Valkey have sockets in the data folder only.
    assert sorted(port for _, port in listening) == sorted([up.address.port, up.http[1]])


def test_the_data_folder_is_closed_to_others(up: Up) -> None:
    open_to_others = [
        path
        for path in (up.data, *up.data.rglob("*"))
        if not path.is_symlink() and path.stat().st_mode & 0o066
    ]

    # A PostgreSQL of another user has to be told who may come in; that names users, no patients.
    assert {path.name for path in open_to_others} <= {"pg_hba.conf", "pg_ident.conf"}


@pytest.mark.parametrize("path", ["/api/v1/series", "/api/v1/analyses", "/metrics"])
def test_no_default_key_is_let_in(up: Up, path: str) -> None:
    for key in LIKELY_KEYS:
        assert up.request("GET", path, Authorization=f"Bearer {key}").status == 401
        assert up.request("GET", path, X_API_Key=key).status == 401


@pytest.mark.parametrize("path", ["/", "/analyses", "/series", "/deliveries"])
def test_a_page_asks_who_is_there(up: Up, path: str) -> None:
    answer = up.get(path)

    assert (answer.status, answer.headers["location"].split("?")[0]) == (303, "/login")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_whoever_asks_hears_that_it_is_well_and_nothing_more(up: Up, path: str) -> None:
    answer = up.get(path)

    assert answer.status == 200
    assert answer.json()["missing"] == []


def test_a_key_opens_until_it_is_revoked(up: Up) -> None:
    made = up.run("key", "create", "RIS", "--system")
    key = made.stdout.strip()
    listed = up.run("key", "list").stdout

    assert made.returncode == 0
    assert up.get("/api/v1/series", key=key).json()["items"] == []
    assert key not in listed
    number = next(line.split()[0] for line in listed.splitlines() if "RIS" in line)
    assert up.run("key", "revoke", number).returncode == 0
    assert up.get("/api/v1/series", key=key).status == 401


def test_status_says_who_is_there_and_that_nothing_waits(up: Up) -> None:
    said = up.run("status", "--json")

    assert said.returncode == 0
    found = json.loads(said.stdout)
    assert found["analyses"] == found["deliveries"] == {}
    assert {each["role"] for each in found["processes"]} <= set(ROLES)
    assert "analyses    none" in up.run("status").stdout


def test_doctor_finds_what_serves_well(up: Up) -> None:
    said = up.run("doctor", "--json")

    grades = {each["check"]: each for each in map(json.loads, said.stdout.splitlines())}
    assert said.returncode == 0, said.stdout
    assert str(up.address.port) in grades["ports"]["sentence"]
    assert grades["database"]["sentence"].startswith("answers")
    assert grades["broker"]["grade"] == "ok"


def test_settings_say_what_holds_and_where_it_comes_from(up: Up) -> None:
    said = up.run("settings", "--json")

    found = json.loads(said.stdout)
    assert said.returncode == 0
    assert found["api.require_key"] == {"value": True, "origin": "default"}
    assert found["data"]["origin"] == "FONTANELLE_DATA"
    assert found["listener.port"]["origin"] == "the file that FONTANELLE_SETTINGS names"


def test_every_role_of_it_is_alive(up: Up) -> None:
    for role in ROLES:
        assert up.run("alive", role).returncode == 0


def test_a_second_one_on_the_folder_is_refused_with_one_sentence(up: Up) -> None:
    said = up.run("up")

    assert said.returncode == 4
    (line,) = said.stderr.strip().splitlines()
    assert line.startswith("servers.data_folder: Another `fontanelle up`")
    assert str(up.pid("up")) in line
    assert up.get("/healthz").status == 200


def test_after_its_end_the_commands_say_so_and_it_starts_again(up: Up) -> None:
    key = up.run("key", "create", "Dr. Example", "--person", "--role", "review").stdout.strip()
    before = {each.pid for each in up.processes()}
    assert len(before) >= len((*ROLES, *SERVERS, "up"))

    up.stop()

    assert all(is_gone(pid) for pid in before)
    assert not (up.data / "running.json").exists()
    # The records can be read without it; nothing of what is asked for is left running.
    stopped = up.run("status")
    assert stopped.returncode == 0 and "none gave a sign lately" in stopped.stdout
    doctor = up.run("doctor")
    assert doctor.returncode == 0 and "`fontanelle up` starts it" in doctor.stdout
    assert up.run("alive", "listener").returncode == 4
    send = up.run("send", Path(__file__), "--to", f"FONTANELLE@127.0.0.1:{up.address.port}")
    assert send.returncode in {3, 4} and "Traceback" not in send.stderr
    assert up.processes() == []
    up.start()
    assert up.get("/api/v1/series", key=key).status == 200
    assert "no API key yet" not in up.logs()["up"].rpartition("stopping")[2]
