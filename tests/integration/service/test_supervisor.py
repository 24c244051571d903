"""The supervisor over real processes: dead and silent ones replaced, none left behind."""

import ast
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from fontanelle.errors import Code, Unavailable
from fontanelle.settings import ListenerSettings, Settings, SupervisorSettings, secret
from service.supervisor.addresses import with_database
from service.supervisor.folder import running
from service.supervisor.probes import broker_answers
from tests.integration.service import small_house
from tests.integration.service.small_house import LIVING, STUBBORN, house
from tests.waiting import is_gone, until


@contextmanager
def other_up(data: Path, kind: str = "living") -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Run a house in a process of its own; give it with the processes of its roles."""
    command = [sys.executable, "-m", small_house.__name__, str(data), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if line.startswith("ready"))
            yield process, [int(each) for each in line.replace("}", "").split() if each.isdigit()]
        finally:
            process.kill()


def roles_of(data: Path) -> list[int]:
    return [int((data / f"{role}.beat").read_text()) for role in ("listener", "worker")]


def test_a_role_that_ends_is_started_again(tmp_path: Path) -> None:
    with house(tmp_path) as supervisor:
        supervisor.wait_ready()
        before = supervisor.pids
        os.kill(before["worker"], signal.SIGKILL)

        until(lambda: supervisor.pids.get("worker", before["worker"]) != before["worker"])

        supervisor.wait_ready()
        assert supervisor.pids["listener"] == before["listener"]


def test_a_role_that_lives_and_says_nothing_is_replaced(tmp_path: Path) -> None:
    with house(tmp_path) as supervisor:
        supervisor.wait_ready()
        before = supervisor.pids
        os.kill(before["worker"], signal.SIGSTOP)

        until(lambda: supervisor.pids.get("worker", before["worker"]) != before["worker"])

        supervisor.wait_ready()
        assert is_gone(before["worker"])
        assert supervisor.pids["listener"] == before["listener"]


def test_a_role_that_ends_again_and_again_is_named(tmp_path: Path) -> None:
    code = "print('package.digest_mismatch: network.onnx is another one.'); raise SystemExit(4)"
    with house(tmp_path, code) as supervisor, pytest.raises(Unavailable) as refused:
        supervisor.wait_ready()

    assert refused.value.reason.code is Code.ROLE_FAILS
    assert "exit code 4" in refused.value.reason.sentence
    assert "package.digest_mismatch: network.onnx" in refused.value.reason.sentence


def test_a_stop_ends_all_and_kills_who_does_not_listen(tmp_path: Path) -> None:
    with house(tmp_path, STUBBORN, stop_s=0.2) as supervisor:
        supervisor.wait_ready()
        pids = supervisor.pids

    assert len(pids) == 2
    assert all(is_gone(pid) for pid in pids.values())


def test_ports_that_are_not_said_are_found_before_the_roles_start(tmp_path: Path) -> None:
    code = LIVING.replace(
        "while True", 'print(os.environ["FONTANELLE_LISTENER_PORT"], flush=True)\nwhile True'
    )
    with house(tmp_path, code) as supervisor:
        supervisor.wait_ready()
        port = supervisor.settings.listener.port

        assert port != 0
        assert (tmp_path / "logs" / "listener.log").read_text() == f"{port}\n"
        found = running(tmp_path)
        assert found is not None
        assert found.listener == ("127.0.0.1", port)
    assert running(tmp_path) is None


def test_a_port_that_somebody_has_is_said_before_anything_starts(tmp_path: Path) -> None:
    supervisor = house(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as other:
        listener = ListenerSettings(port=other.getsockname()[1])
        supervisor.settings = supervisor.settings.model_copy(update={"listener": listener})

        with pytest.raises(Unavailable) as refused:
            supervisor.start()

    assert refused.value.reason.code is Code.PORT_TAKEN
    assert "FONTANELLE_LISTENER_PORT" in refused.value.reason.sentence


def test_two_do_not_serve_one_folder(tmp_path: Path) -> None:
    with other_up(tmp_path) as (process, _), pytest.raises(Unavailable) as refused:
        house(tmp_path).start()

    assert refused.value.reason.code is Code.DATA_FOLDER
    assert f"process {process.pid}" in refused.value.reason.sentence


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_well_and_everybody_with_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    with other_up(tmp_path) as (process, _):
        pids = roles_of(tmp_path)

        process.send_signal(number)

        assert process.wait() == 0
        assert all(is_gone(pid) for pid in pids)


def test_a_kill_of_the_supervisor_leaves_nobody(tmp_path: Path) -> None:
    with other_up(tmp_path) as (process, _):
        pids = roles_of(tmp_path)

        process.kill()

        until(lambda: all(is_gone(pid) for pid in pids))


def test_the_next_one_waits_for_the_roles_of_a_killed_one(tmp_path: Path) -> None:
    with other_up(tmp_path, "stubborn") as (process, _):
        pids = roles_of(tmp_path)
        process.kill()
        process.wait()

        with house(tmp_path, stop_s=0.2) as supervisor:
            assert all(is_gone(pid) for pid in pids)
            supervisor.wait_ready()


def test_the_data_folder_is_closed_to_others(tmp_path: Path) -> None:
    with house(tmp_path / "new" / "data"):
        mode = (tmp_path / "new" / "data").stat().st_mode & 0o777

    assert mode == (0o711 if os.geteuid() == 0 else 0o700)


@contextmanager
def full_up(data: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, int]]]:
    """Run the tiny programs over a real PostgreSQL and a real Valkey."""
    command = [sys.executable, "-m", small_house.__name__, str(data), "servers"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if line.startswith("ready"))
            yield process, ast.literal_eval(line.split(maxsplit=2)[2])
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait()


def kept(data: Path) -> int:
    """Count, in a table that is made where it is missing, how often this was called."""
    found = running(data)
    assert found is not None
    assert found.database_url is not None
    with psycopg.connect(found.database_url.replace("+psycopg", "")) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (n serial)")
        connection.execute("INSERT INTO kept DEFAULT VALUES")
        row = connection.execute("SELECT count(*) FROM kept").fetchone()
    assert row is not None
    return int(row[0])


def answers(data: Path) -> bool:
    try:
        kept(data)
    except psycopg.OperationalError:
        return False
    return True


def test_servers_that_are_killed_come_back_with_what_they_had(data_folder: Path) -> None:
    with full_up(data_folder) as (_, pids):
        assert kept(data_folder) == 1
        for name in ("PostgreSQL", "Valkey"):
            os.kill(pids[name], signal.SIGKILL)
        until(lambda: is_gone(pids["PostgreSQL"]))

        until(lambda: answers(data_folder))

        assert kept(data_folder) > 2
        found = running(data_folder)
        assert found is not None
        assert found.broker_url is not None
        broker_url = found.broker_url
        until(lambda: broker_answers(broker_url))


def test_a_supervisor_that_is_killed_takes_its_servers_along_and_the_next_one_has_the_rows(
    data_folder: Path,
) -> None:
    with full_up(data_folder) as (process, pids):
        assert set(pids) == {"PostgreSQL", "Valkey", "listener", "worker"}
        assert kept(data_folder) == 1
        process.kill()
        process.wait()
        until(lambda: all(is_gone(pid) for pid in pids.values()))

    with full_up(data_folder) as (process, pids):
        assert kept(data_folder) == 2
        process.terminate()
        assert process.wait() == 0
        assert all(is_gone(pid) for pid in pids.values())


def test_a_command_finds_the_servers_of_a_running_up_and_starts_its_own_where_none_runs(
    data_folder: Path,
) -> None:
    wanted = Settings(data=data_folder, supervisor=SupervisorSettings(fsync=False))
    with pytest.raises(Unavailable) as refused, with_database(wanted):
        pass
    assert refused.value.reason.code is Code.DATABASE_AWAY

    with full_up(data_folder):
        found = running(data_folder)
        assert found is not None
        with with_database(wanted) as settings:
            assert secret(settings.database_url, "database_url") == found.database_url
            assert settings.listener.port == found.listener[1]

    with with_database(wanted) as settings:
        url = secret(settings.database_url, "database_url").replace("+psycopg", "")
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
