"""Which doors stand open: each is said in words, and none where nothing was opened."""

from pathlib import Path

import pytest

from fontanelle.settings import Settings, load
from service.supervisor.doors import open_doors

NOWHERE = Path("/no/such/folder")
BEYOND = '[{"ae_title": "CT1", "host": "10.1.2.3"}]'


def doors(**environment: str) -> list[str]:
    named = {f"FONTANELLE_{name}": value for name, value in environment.items()}
    return list(open_doors(load(named, data=NOWHERE)))


def test_the_defaults_open_none() -> None:
    assert list(open_doors(Settings(data=NOWHERE))) == []


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"API_REQUIRE_KEY": "false"}, "no key"),
        ({"API_HOST": "0.0.0.0"}, "plain HTTP"),  # noqa: S104
        ({"LISTENER_HOST": "192.0.2.1"}, "unencrypted"),
        ({"SOURCES": "[]"}, "nobody may send"),
        ({"SOURCES": BEYOND}, "CT1 cannot reach it"),
        ({"SUPERVISOR_FSYNC": "false"}, "power cut"),
    ],
)
def test_each_door_is_said(environment: dict[str, str], said: str) -> None:
    found = doors(**environment)

    assert len(found) == 1
    assert said in found[0]


def test_a_source_beyond_this_machine_is_no_door_where_the_port_is_open_to_it() -> None:
    found = doors(SOURCES=BEYOND, LISTENER_HOST="0.0.0.0")  # noqa: S104

    assert not [door for door in found if "CT1" in door]
