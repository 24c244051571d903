"""`fontanelle key` and `fontanelle status` beside a database."""

import json

import pytest
from click.testing import CliRunner, Result

from fontanelle.errors import Code
from fontanelle.records import deliveries, intake, keys, processes
from fontanelle.records.intake import Refusal
from fontanelle.records.keys import Role
from service.commands import key, status
from tests.integration.api.house import House
from tests.integration.records import builders as rows


@pytest.fixture(autouse=True)
def _settings(house: House, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FONTANELLE_DATABASE_URL", database_url)
    monkeypatch.setenv("FONTANELLE_DATA", str(house.folder))


def call(command: object, *arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)  # type: ignore[arg-type]


def test_a_key_is_made_shown_once_and_opens_what_its_role_says(house: House) -> None:
    made = call(key.command, "create", "Dr Ada", "--person", "--role", "review")

    assert made.exit_code == 0
    secret = made.stdout.strip()
    assert house.client(secret).get("/api/v1/analyses").status_code == 200
    listed = call(key.command, "list").stdout
    assert "Dr Ada" in listed and "person" in listed and "review" in listed
    assert secret not in listed and keys.digest(secret) not in listed


def test_a_revoked_key_opens_nothing_and_stays_on_the_list(house: House) -> None:
    secret = call(key.command, "create", "RIS", "--system").stdout.strip()

    assert call(key.command, "revoke", "1").exit_code == 0

    assert house.client(secret).get("/api/v1/analyses").status_code == 401
    assert "revoked" in call(key.command, "list").stdout
    again = call(key.command, "revoke", "1")
    assert isinstance(again.exception, Exception) and "records.not_found" in str(again.exception)


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "Dr Ada"),
        ("create", " ", "--person"),
        ("create", "a\nb", "--person"),
        ("create", "Dr Ada", "--person", "--role", "root"),
        ("revoke", "x"),
        ("revoke", "0"),
    ],
)
def test_a_key_for_nobody_is_wrong_usage(arguments: tuple[str, ...]) -> None:
    assert call(key.command, *arguments).exit_code == 2


def test_the_roles_of_the_command_are_those_of_the_records() -> None:
    assert tuple(Role) == key.ROLES


def test_without_a_key_the_list_says_how_to_make_one() -> None:
    done = call(key.command, "list")

    assert done.stdout == "" and "fontanelle key create" in done.stderr


def test_status_says_what_waits_runs_failed_and_is_not_delivered(house: House) -> None:
    house.result(series=1)
    failed = house.fail(series=2)
    queued = rows.queued(house.records, 3, 3, 30)
    running = rows.running(house.records, 4, 4, 40).lease.analysis_id
    with house.records.begin() as session:
        for dispatch in deliveries.claim(session, "pacs", lease_s=60):
            deliveries.failed(session, dispatch, rows.AWAY, status=None, again_in_s=None)
        intake.add_conflict(session, rows.conflict(10, Code.PATIENT_CORRECTION))
        sentence = "The calling AE title STRANGER is not a known source."
        intake.add_refusals(
            session, [Refusal("STRANGER", "US", "10.0.0.7", Code.ASSOCIATION_CALLING, sentence, 3)]
        )
        processes.beat(session, "worker", analysis_id=running)

    said = call(status.command).stdout
    found = json.loads(call(status.command, "--json").stdout)

    for line in (
        f"analysis {failed}  failed, attempt 1  analysis.internal: An error of ours",
        f"analysis {queued}  queued, attempt 0",
        f"analysis {running}  running, attempt 1",
        "STRANGER at 10.0.0.7, called US  3 times  intake.calling_ae_title:",
        "conflicts   1",
        f"works on analysis {running}",
    ):
        assert line in said
    assert "dead, attempts 1  delivery.destination_away: Nobody listens there." in said
    assert {each["id"] for each in found["under_way"]} == {queued, running}
    assert [each["reason"]["code"] for each in found["failed"]] == ["analysis.internal"]
    assert {each["state"] for each in found["undelivered"]} == {"held", "dead"}
    assert found["conflicts"] == 1 and found["refused"][0]["count"] == 3
    assert "4711" not in said and "4711" not in json.dumps(found)


def test_status_of_an_empty_house_says_that_there_is_nothing() -> None:
    said = call(status.command).stdout.splitlines()

    assert said[:4] == [
        "series      none",
        "analyses    none",
        "deliveries  none",
        "conflicts   none",
    ]
    assert "processes: none gave a sign lately" in said
