"""Each service of docker-compose.yml, started as it says."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from service.cli import UNAVAILABLE
from service.embedded.valkey import Valkey, server_program
from service.supervisor.composition import ROLES
from tests.compose import SECRETS, Container, compose, made_secrets
from tests.servers import PostgresServer
from tests.waiting import until

SERVICES = compose()["services"]


@pytest.fixture(scope="module")
def secrets(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer, valkey_server: Valkey
) -> Path:
    """Give secrets whose addresses are those of the tests' own servers."""
    folder = made_secrets(tmp_path_factory.mktemp("secrets"))
    addresses = {"database_url": postgres_server.database(), "broker_url": valkey_server.url}
    for name, url in addresses.items():
        (folder / name).chmod(0o600)
        (folder / name).write_text(url)
    return folder


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory, secrets: Path) -> Path:
    """Give the same, once the service `migrate` has ended well."""
    migrate = Container("migrate", tmp_path_factory.mktemp("migrate"), secrets)
    ended = migrate.run(migrate.main)
    assert ended.returncode == 0, ended.stderr
    assert migrate.written() == []
    return secrets


class TestAsProcesses:
    def test_the_migration_can_be_run_again(self, migrated: Path, tmp_path: Path) -> None:
        migrate = Container("migrate", tmp_path, migrated)

        assert migrate.run(migrate.main).returncode == 0

    @pytest.mark.parametrize("role", ROLES)
    def test_a_role_starts_shows_that_it_lives_and_ends(
        self, role: str, migrated: Path, tmp_path: Path
    ) -> None:
        container = Container(role, tmp_path, migrated)
        health = container.service["healthcheck"]["test"][1:]
        assert container.run(health).returncode == UNAVAILABLE

        with container.serving() as process:
            until(lambda: is_healthy(container, health, process))
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 0, container.log

        assert container.run(health).returncode == UNAVAILABLE
        assert container.written() == []

    def test_a_sign_of_a_process_that_was_killed_is_none(
        self, migrated: Path, tmp_path: Path
    ) -> None:
        container = Container("dispatcher", tmp_path, migrated)
        health = container.service["healthcheck"]["test"][1:]

        with container.serving() as process:
            until(lambda: is_healthy(container, health, process))
            process.kill()
            process.wait()
            said = container.run(health)

        assert said.returncode == UNAVAILABLE
        assert said.stderr.startswith("servers.role_silent: No dispatcher of this machine")

    def test_without_a_database_a_role_is_not_called_alive(
        self, migrated: Path, tmp_path: Path
    ) -> None:
        container = Container("courier", tmp_path, migrated)
        lost = tmp_path / "database_url"
        lost.write_text(f"postgresql://nobody@/nothing?host={tmp_path}")
        container.environment["FONTANELLE_DATABASE_URL_FILE"] = str(lost)

        said = container.run(container.service["healthcheck"]["test"][1:])

        assert said.returncode == UNAVAILABLE
        assert said.stderr.startswith("records.database_away: ")


def is_healthy(container: Container, health: list[str], process: subprocess.Popen[bytes]) -> bool:
    """Make the health check; a program that has ended will not get well."""
    assert process.poll() is None, container.log
    return container.run(health).returncode == 0


class TestTheServers:
    def test_valkey_takes_its_command_and_asks_for_the_password(
        self, valkey: Path, secrets: Path
    ) -> None:
        with closing(socket.socket(socket.AF_UNIX)) as peer:
            peer.connect(str(valkey))
            peer.sendall(b"PING\r\n")
            assert peer.recv(64).startswith(b"-NOAUTH")

    def test_valkeys_health_check_says_well_and_not_well(
        self, valkey: Path, secrets: Path, tmp_path: Path
    ) -> None:
        kind, script = SERVICES["valkey"]["healthcheck"]["test"]
        assert kind == "CMD-SHELL"
        # Debian's client is not at hand: this passes on lines, and the server's answers.
        client = tmp_path / "valkey-cli"
        client.write_text(
            f"#!{sys.executable}\n"
            "import socket, sys\n"
            "peer = socket.socket(socket.AF_UNIX)\n"
            f"peer.connect({str(valkey)!r})\n"
            "for line in sys.stdin:\n"
            "    peer.sendall(line.encode())\n"
            "    print(peer.recv(256).decode().strip().removeprefix('+'))\n"
        )
        client.chmod(0o700)
        (tmp_path / "valkey.conf").write_text("requirepass wrong\n")

        def healthy(folder: Path) -> bool:
            said = script.replace(SECRETS, str(folder))
            path = f"{tmp_path}:{os.environ['PATH']}"
            return (
                subprocess.run(["sh", "-c", said], env={"PATH": path}, check=False).returncode == 0
            )

        assert healthy(secrets)
        assert not healthy(tmp_path)

    def test_postgres_takes_its_options(self, postgres_server: PostgresServer) -> None:
        address = postgres_server.server.url.replace("+psycopg", "")
        options = [each.removeprefix("--") for each in SERVICES["postgres"]["command"][1:]]

        with psycopg.connect(address, autocommit=True) as connection:
            for name, value in (option.split("=") for option in options):
                set_to = connection.execute("SELECT set_config(%s, %s, false)", (name, value))
                assert set_to.fetchone() == (value,)


@pytest.fixture
def valkey(secrets: Path, data_folder: Path) -> Iterator[Path]:
    """Start Valkey by the service's command, at a socket in place of a port; give the socket."""
    program, *arguments = SERVICES["valkey"]["command"]
    assert program == "valkey-server"
    said = [each.replace(SECRETS, str(secrets)) for each in arguments]
    path = data_folder / "s"
    here = ["--port", "0", "--unixsocket", str(path), "--dir", str(data_folder)]
    server = subprocess.Popen([server_program(), *said, *here], stdout=subprocess.DEVNULL)
    try:
        until(path.is_socket)
        yield path
    finally:
        server.kill()
        server.wait()
