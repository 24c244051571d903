"""`fontanelle db` on a real PostgreSQL."""

import pytest

from service.cli import run


@pytest.fixture
def named(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("FONTANELLE_DATABASE_URL", empty_database_url)
    return empty_database_url


def test_a_new_database_is_told_what_it_needs_and_gets_it(
    named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["db", "check"]) == 4
    said = capsys.readouterr().err
    assert "records.schema" in said and "fontanelle db upgrade" in said

    assert run(["db", "upgrade"]) == 0
    assert run(["db", "upgrade"]) == 0
    assert run(["db", "check"]) == 0


def test_the_schema_can_be_taken_back(named: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(["db", "upgrade"])

    assert run(["db", "downgrade", "base"]) == 0
    assert run(["db", "check"]) == 4


def test_a_database_that_is_away_is_said_so(
    named: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FONTANELLE_DATABASE_URL", named.replace("host=", "host=/nowhere"))

    assert run(["db", "upgrade"]) == 4
    assert "records.database_away" in capsys.readouterr().err
