"""Settings: one file, the environment over it, and a sentence for each mistake."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from fontanelle.errors import Code, Refused
from fontanelle.settings import (
    Destination,
    ListenerSettings,
    Settings,
    Source,
    environment_of,
    explained,
    is_loopback,
    known_variables,
    load,
)

DESTINATION = {"name": "PACS", "ae_title": "PACS", "host": "10.0.0.5", "port": 104}


def mistake(**environment: str) -> str:
    with pytest.raises(Refused) as refused:
        load({f"FONTANELLE_{name}": value for name, value in environment.items()})
    assert refused.value.reason.code is Code.SETTINGS_INVALID
    return refused.value.reason.sentence


def test_the_defaults_are_loopback_keys_and_one_known_sender() -> None:
    settings = load({})

    assert is_loopback(settings.listener.host)
    assert is_loopback(settings.api.host)
    assert settings.api.require_key
    assert [source.ae_title for source in settings.sources] == ["FONTANELLE-SEND"]
    assert settings.database_url is None


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('data = "/from/file"\n[listener]\nport = 1\nae_title = "FILE"\n')
    environment = {"FONTANELLE_SETTINGS": str(file), "FONTANELLE_LISTENER_PORT": "2"}

    settings = load(environment, data=Path("/from/line"))

    assert settings.listener.ae_title == "FILE"
    assert settings.listener.port == 2
    assert settings.data == Path("/from/line")
    assert load(environment, data=None).data == Path("/from/file")


def test_where_a_value_came_from_is_known(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('[listener]\nport = 1\nae_title = "FILE"\n')
    environment = {"FONTANELLE_SETTINGS": str(file), "FONTANELLE_LISTENER_PORT": "2"}

    origins = {each.name: each.origin for each in explained(load(environment), environment)}

    assert origins["listener.ae_title"] == "the file that FONTANELLE_SETTINGS names"
    assert origins["listener.port"] == "FONTANELLE_LISTENER_PORT"
    assert origins["listener.host"] == "default"


def test_a_secret_comes_from_a_file_that_the_environment_names(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://secret\n")

    settings = load({"FONTANELLE_DATABASE_URL_FILE": str(tmp_path / "url")})

    assert settings.database_url == SecretStr("postgresql://secret")
    assert "secret" not in repr(settings)


def test_a_secret_in_the_settings_file_is_a_mistake(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('database_url = "postgresql://secret"\n')

    assert "database_url must come from the environment" in mistake(SETTINGS=str(file))


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"LISTENER_PROT": "1"}, "FONTANELLE_LISTENER_PORT is near"),
        ({"QUUX_QUUX_QUUX": "1"}, "there is no setting FONTANELLE_QUUX_QUUX_QUUX"),
        ({"LISTENER_PORT": "70000"}, "listener.port"),
        ({"LISTENER_AE_TITLE": "LONGER THAN SIXTEEN"}, "1 to 16"),
        ({"LISTENER_AE_TITLE": "A\\B"}, "no backslash"),
        ({"LISTENER_HOST": "a b"}, "not a host name"),
        ({"WORKER_LEASE_S": "9"}, "at least twice heartbeat_s"),
        ({"SOURCES": "CT1"}, "sources"),
        ({"SOURCES": '[{"ae_title": "A"}, {"ae_title": "A"}]'}, "sources holds a name twice"),
        ({"DESTINATIONS": json.dumps([DESTINATION])}, "release"),
        ({"SETTINGS": "/no/such/file"}, "cannot be read"),
        ({"DATABASE_URL_FILE": "/no/such/file"}, "FONTANELLE_DATABASE_URL_FILE names"),
    ],
)
def test_each_mistake_has_a_sentence(environment: dict[str, str], said: str) -> None:
    assert said in mistake(**environment)


def test_all_mistakes_are_said_at_once_and_no_value_is() -> None:
    sentence = mistake(LISTENER_PORT="hunter2", API_PORT="70000", LISTENER_PROT="1")

    assert "FONTANELLE_LISTENER_PROT" in sentence
    assert "hunter2" not in sentence


def test_a_value_that_does_not_fit_is_said_without_the_value() -> None:
    sentence = mistake(LISTENER_PORT="hunter2", API_PORT="70000")

    assert "listener.port" in sentence
    assert "api.port" in sentence
    assert "hunter2" not in sentence


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("listener = [")

    assert "is not TOML" in mistake(SETTINGS=str(file))


AE_TITLES = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789-_", min_size=1, max_size=16).filter(
    str.strip
)
SETTINGS = st.builds(
    Settings,
    data=st.just(Path("/data")),
    database_url=st.none() | st.just(SecretStr("postgresql://user:a b%2F@/x?host=/run")),
    sources=st.lists(
        st.builds(Source, ae_title=AE_TITLES, quiet_period_s=st.floats(0, 1e6)),
        unique_by=lambda source: source.ae_title,
        max_size=3,
    ).map(tuple),
    destinations=st.just((Destination(**DESTINATION, release="at_once"),)),
    listener=st.builds(
        ListenerSettings, ae_title=AE_TITLES, port=st.integers(0, 65535), timeout_s=st.just(1.5)
    ),
)


@given(SETTINGS)
def test_the_environment_of_settings_gives_them_again(settings: Settings) -> None:
    assert load(environment_of(settings)) == settings


def test_every_setting_has_a_variable_of_its_own() -> None:
    paths = [path for name, path in known_variables().items() if not name.endswith("_FILE")]

    assert len(set(paths)) == len(paths)
    assert ("supervisor", "fsync") in paths


@pytest.mark.parametrize(
    ("host", "reaches_this_machine_only"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("pacs", False)],  # noqa: S104
)
def test_loopback_is_told_from_the_rest(host: str, reaches_this_machine_only: bool) -> None:  # noqa: FBT001
    assert is_loopback(host) is reaches_this_machine_only
