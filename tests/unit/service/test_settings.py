"""`fontanelle settings`: every setting, its value and where it came from, and no secret."""

import json

import pytest

from fontanelle.settings import Settings
from service import cli

ADDRESS = "postgresql://fontanelle:hunter2@db/fontanelle"


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    monkeypatch.setenv("FONTANELLE_DATABASE_URL", ADDRESS)
    monkeypatch.setenv("FONTANELLE_LISTENER_PORT", "104")
    assert cli.run(["settings", "--json"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_every_setting_is_shown(shown: dict[str, object]) -> None:
    assert {name.split(".")[0] for name in shown} == set(Settings.model_fields)
    assert "supervisor.stalled_s" in shown


def test_each_says_where_it_came_from(shown: dict[str, object]) -> None:
    assert shown["listener.port"] == {"value": 104, "origin": "FONTANELLE_LISTENER_PORT"}
    assert shown["api.port"] == {"value": 8765, "origin": "default"}


def test_a_secret_is_not_shown(
    shown: dict[str, object],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert shown["database_url"] == {"value": "***", "origin": "FONTANELLE_DATABASE_URL"}

    cli.run(["settings"])

    assert "hunter2" not in capsys.readouterr().out


def test_a_misspelt_setting_is_refused_with_the_nearest(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FONTANELLE_LISTENER_PROT", "104")

    assert cli.run(["settings"]) == 3

    assert "FONTANELLE_LISTENER_PORT is near" in capsys.readouterr().err
