"""docker-compose.yml, the Dockerfile and what lies beside them: what they promise."""

import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from fontanelle.settings import Settings, WorkerSettings, is_loopback, load
from service.cli import COMMANDS
from service.embedded import postgres as embedded_postgres
from service.supervisor.composition import ROLES
from tests.compose import HOME, ROOT, SECRETS, compose, made_secrets, stages

SERVICES = compose()["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
WORKERS = ("worker", "worker-gpu")
SERVERS = ("postgres", "valkey")


def volumes(service: dict[str, Any], name: str) -> list[str]:
    """Return how a service mounts a named volume."""
    named = [each for each in service.get("volumes", []) if isinstance(each, str)]
    return [each for each in named if each.split(":")[0] == name]


class TestTheFile:
    def test_every_role_runs_by_its_own_command_and_the_migration_before_them(self) -> None:
        assert {*ROLES, "migrate", *SERVERS, "worker-gpu"} == set(SERVICES)
        for role in ROLES:
            assert SERVICES[role]["command"] == ["run", role]
        assert SERVICES["worker-gpu"]["command"] == ["run", "worker"]
        assert SERVICES["migrate"]["command"] == ["db", "upgrade"]

    @pytest.mark.parametrize("name", [*ROLES, "worker-gpu"])
    def test_a_role_waits_for_the_migration_and_is_restarted(self, name: str) -> None:
        waits_for = SERVICES[name]["depends_on"]

        assert waits_for["migrate"] == {"condition": "service_completed_successfully"}
        assert SERVICES[name]["restart"] == "unless-stopped"

    def test_the_migration_runs_once_the_database_answers(self) -> None:
        migrate = SERVICES["migrate"]

        assert migrate["depends_on"] == {"postgres": {"condition": "service_healthy"}}
        assert migrate["restart"] == "no"

    @pytest.mark.parametrize("name", sorted(set(SERVICES) - {"migrate"}))
    def test_everything_that_stays_has_a_health_check(self, name: str) -> None:
        test = SERVICES[name]["healthcheck"]["test"]

        expected = {"postgres": "pg_isready", "valkey": "valkey-cli"}
        if name in expected:
            assert expected[name] in " ".join(test)
        else:
            assert test == ["CMD", "fontanelle", "alive", SERVICES[name]["command"][1]]
            assert test[2] in COMMANDS

    @pytest.mark.parametrize("name", sorted(SERVICES))
    def test_nothing_runs_with_more_rights_than_it_needs(self, name: str) -> None:
        service = SERVICES[name]

        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["read_only"] is service["init"] is True
        assert not {"cap_add", "privileged", "pid", "network_mode", "devices"} & set(service)
        assert any(each.startswith("/tmp") for each in service["tmpfs"])  # noqa: S108
        user = stages()[service["build"]["target"]].last("USER") if name in OURS else None
        assert (user or service["user"]).split(":")[0] not in {"root", "0"}

    def test_nothing_is_published_beyond_this_machine_unless_told(self) -> None:
        published = {name: each["ports"] for name, each in SERVICES.items() if "ports" in each}

        assert set(published) == {"listener", "api"}
        for name, (port,) in published.items():
            host, _, inside = port.split(":")
            assert is_loopback(host)
            assert SERVICES[name]["environment"][f"FONTANELLE_{name.upper()}_PORT"] == inside

    def test_a_site_can_publish_by_saying_so(self) -> None:
        told = compose({"PUBLISH_DICOM": "192.0.2.1:104"})["services"]

        assert told["listener"]["ports"] == ["192.0.2.1:104:11112"]
        assert told["api"]["ports"] == SERVICES["api"]["ports"]

    def test_database_and_broker_are_on_a_network_without_a_way_out(self) -> None:
        file = compose()

        assert file["networks"]["inside"]["internal"] is True
        for name in (*SERVERS, *WORKERS, "dispatcher", "migrate"):
            assert SERVICES[name]["networks"] == ["inside"]
        for name in ("listener", "api", "courier"):
            assert set(SERVICES[name]["networks"]) == set(file["networks"])

    def test_only_the_listener_writes_the_spool_and_only_workers_results(self) -> None:
        for name, service in SERVICES.items():
            for volume, writers in (("spool", ("listener",)), ("results", WORKERS)):
                for mount in volumes(service, volume):
                    assert mount.endswith(":ro") == (name not in writers)
        assert {name for name in SERVICES if volumes(SERVICES[name], "spool")} == {
            *("listener", "dispatcher"),
            *WORKERS,
        }
        assert {name for name in SERVICES if volumes(SERVICES[name], "results")} == {
            *("courier", "api"),
            *WORKERS,
        }

    def test_what_a_volume_is_mounted_on_is_there_and_ours_in_the_image(self) -> None:
        made = next(text for word, text in stages()["base"].own if word == "RUN")

        for name in OURS:
            for mount in SERVICES[name].get("volumes", []):
                if isinstance(mount, str):
                    volume, target, *_ = mount.split(":")
                    assert f" {target} " in made
                    assert volume in compose()["volumes"]

    @pytest.mark.parametrize("name", WORKERS)
    def test_a_worker_is_given_longer_than_an_analysis_may_take(self, name: str) -> None:
        minutes = re.fullmatch(r"(\d+)m", SERVICES[name]["stop_grace_period"])

        assert minutes and int(minutes[1]) * 60 > WorkerSettings().wall_limit_s

    def test_the_worker_on_a_card_is_a_profile(self) -> None:
        worker = SERVICES["worker-gpu"]
        (device,) = worker["deploy"]["resources"]["reservations"]["devices"]

        assert [name for name in SERVICES if "profiles" in SERVICES[name]] == ["worker-gpu"]
        assert worker["profiles"] == ["gpu"]
        assert device["driver"] == "nvidia" and device["capabilities"] == ["gpu"]
        assert volumes(worker, "engines") == [f"engines:{HOME}/.cache"]

    def test_valkey_keeps_its_messages_and_drops_none(self) -> None:
        command = SERVICES["valkey"]["command"]

        assert command[command.index("--appendonly") + 1] == "yes"
        assert command[command.index("--maxmemory-policy") + 1] == "noeviction"

    def test_postgres_is_set_up_like_the_embedded_one(self) -> None:
        postgres = SERVICES["postgres"]
        said = {argument.removeprefix("--") for argument in postgres["command"][1:]}
        made_with = set(postgres["environment"]["POSTGRES_INITDB_ARGS"].split())

        assert {each for each in embedded_postgres._SETTINGS if each.startswith("log_")} <= said
        assert made_with == {
            each for each in embedded_postgres._INITDB if "encoding" in each or "locale" in each
        }


class TestSecrets:
    NAMES = re.compile(r"PASSWORD|SECRET|TOKEN|KEY|URL", re.IGNORECASE)

    @pytest.mark.parametrize("name", sorted(SERVICES))
    def test_a_service_is_told_of_secrets_by_file_and_only_of_its_own(self, name: str) -> None:
        service = SERVICES[name]
        said = (
            {
                variable: value
                for variable, value in service["environment"].items()
                if self.NAMES.search(variable)
            }
            if "environment" in service
            else {}
        )

        assert all(variable.endswith("_FILE") for variable in said)
        for value in said.values():
            assert value.removeprefix(f"{SECRETS}/") in service["secrets"]

    def test_neither_image_nor_settings_hold_one(self) -> None:
        for stage in stages().values():
            assert not [name for name in stage.environment if self.NAMES.search(name)]
            assert not [text for word, text in stage.own if word == "ARG"]
        for name in ("Dockerfile", "settings.toml"):
            text = (ROOT / "docker" / name).read_text(encoding="utf-8")
            assert not re.search(r"://[^/\s]*:[^/\s]*@", text)

    def test_they_come_from_files_that_neither_repository_nor_image_holds(self) -> None:
        for secret in compose()["secrets"].values():
            assert secret["file"].startswith("./docker/secrets/")
        assert "secrets/" in (ROOT / "docker/.gitignore").read_text().splitlines()
        ignored = (ROOT / ".dockerignore").read_text().splitlines()
        assert "*" in ignored
        assert not [each for each in ignored if each.startswith("!docker/s") or each == "!docker"]

    def test_they_are_made_at_random_and_closed_to_others(self, tmp_path: Path) -> None:
        first, second = made_secrets(tmp_path / "first"), made_secrets(tmp_path / "second")

        assert {path.name for path in first.iterdir()} == set(compose()["secrets"])
        assert stat.S_IMODE(first.stat().st_mode) == 0o700
        for path in first.iterdir():
            assert path.read_bytes() != (second / path.name).read_bytes()
            # A container's user is not ours: the folder is the door.
            assert stat.S_IMODE(path.stat().st_mode) == 0o444

    def test_they_are_never_overwritten(self, tmp_path: Path) -> None:
        folder = made_secrets(tmp_path)
        (folder / "database_url").unlink()
        before = {path.name: path.read_text() for path in folder.iterdir()}

        again = {path.name: path.read_text() for path in made_secrets(tmp_path).iterdir()}

        assert before.items() <= again.items()
        assert before["database_password"] in again["database_url"]

    def test_their_addresses_are_those_of_the_services(self, tmp_path: Path) -> None:
        folder = made_secrets(tmp_path)
        database = urlsplit((folder / "database_url").read_text())
        broker = urlsplit((folder / "broker_url").read_text())
        environment = SERVICES["postgres"]["environment"]

        assert {database.hostname, broker.hostname} == set(SERVERS)
        assert database.username == environment["POSTGRES_USER"]
        assert database.path == "/" + environment["POSTGRES_DB"]
        assert database.password == (folder / "database_password").read_text()
        assert f"requirepass {broker.password}\n" == (folder / "valkey.conf").read_text()


class TestImages:
    @pytest.mark.parametrize("name", OURS)
    def test_an_image_is_a_stage_and_its_command_is_known(self, name: str) -> None:
        service = SERVICES[name]
        stage = stages()[service["build"]["target"]]

        assert service["image"] == "fontanelle-" + service["build"]["target"]
        assert stage.entrypoint[:2] == ["python", "-P"]
        assert stage.environment["PYTHONSAFEPATH"] == "1"
        assert service["command"][0] in COMMANDS

    def test_all_begin_with_the_same_python(self) -> None:
        bases = {stage.parent for stage in stages().values() if isinstance(stage.parent, str)}

        assert bases == {"python:3.11-slim-bookworm"}

    def test_what_is_copied_is_there_and_reaches_the_builder(self) -> None:
        let_in = [
            line[1:]
            for line in (ROOT / ".dockerignore").read_text().splitlines()
            if line.startswith("!")
        ]
        copied = [
            source
            for stage in stages().values()
            for word, text in stage.instructions
            if word == "COPY"
            for source in text.split()[:-1]
        ]
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        packages = project["tool"]["setuptools"]["packages"]["find"]["include"]

        assert {*copied, *(each.rstrip("*") for each in packages)} - {"."} <= set(let_in)
        assert [name for name in let_in if not (ROOT / name).exists()] == []

    @pytest.mark.parametrize("extra", [None, "cpu", "gpu"])
    def test_every_package_that_is_asked_for_is_installed(self, extra: str | None) -> None:
        said = subprocess.run(
            [sys.executable, "docker/requirements.py", *([extra] if extra else [])],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        wanted = project["optional-dependencies"][extra] if extra else project["dependencies"]

        assert said.stdout.splitlines() == wanted


class TestSettings:
    def test_the_settings_that_are_shipped_are_good(self) -> None:
        assert load({"FONTANELLE_SETTINGS": str(ROOT / "docker/settings.toml")}) == Settings()

    def test_so_are_its_examples(self, tmp_path: Path) -> None:
        lines = (ROOT / "docker/settings.toml").read_text().splitlines()
        is_example = re.compile(r"# (\[.*\]|\w+ = .*)$")
        shown = [line[2:] if is_example.match(line) else line for line in lines]
        (tmp_path / "settings.toml").write_text("\n".join(shown))

        found = load({"FONTANELLE_SETTINGS": str(tmp_path / "settings.toml")})

        assert [source.ae_title for source in found.sources] == ["PACS", "CT1"]
        assert found.destinations[0].release == "after_review"
        assert found.worker == WorkerSettings()
