"""A database that is away is said to be away, and work goes on when it is back."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fontanelle.errors import Code, Unavailable
from fontanelle.records import intake, migrate
from fontanelle.records.database import Records
from service.embedded.postgres import Postgres
from tests.integration.records.builders import arrive, change, received, value, wait_for
from tests.servers import free_port


def away(act: Callable[[], object]) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        act()
    return caught.value


def assert_away(error: Unavailable) -> None:
    assert error.reason.code is Code.DATABASE_AWAY


def nowhere() -> str:
    return f"postgresql://fontanelle:secret@127.0.0.1:{free_port()}/fontanelle"


def test_a_refused_connection_is_a_database_that_is_away() -> None:
    with Records.open(nowhere()) as records:
        refused = away(lambda: ping(records))
        again = away(lambda: arrive(records, 1))

    assert_away(refused)
    assert_away(again)
    assert "secret" not in str(refused)


@pytest.mark.parametrize("act", [migrate.upgrade, migrate.check])
def test_so_it_is_for_migrations(act: Callable[[str], None]) -> None:
    assert_away(away(lambda: act(nowhere())))


def cut(records: Records, session: Session) -> None:
    """End the server's side of a session's connection."""
    mine = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
    change(records, "SELECT pg_terminate_backend(:pid)", pid=mine)


@pytest.mark.parametrize("before_the_commit", [False, True])
def test_a_connection_that_is_cut_in_mid_transaction_takes_all_of_it_back(
    records: Records, *, before_the_commit: bool
) -> None:
    def index_two() -> None:
        with records.begin() as session:
            intake.index(session, [received(1)])
            if not before_the_commit:
                cut(records, session)
            intake.index(session, [received(2)])
            if before_the_commit:
                cut(records, session)

    assert_away(away(index_two))
    assert arrive(records, 1, 2) == 2


def ping(records: Records) -> None:
    with records.begin() as session:
        session.execute(text("SELECT 1"))


def test_idle_connections_that_were_cut_hurt_nobody(records: Records) -> None:
    ping(records)
    change(
        records,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )

    assert arrive(records, 1) == 1


def test_when_all_connections_are_taken_the_next_one_is_told_so(database_url: str) -> None:
    with Records.open(database_url, connections=1, patience_s=0.1) as records:
        with records.begin() as first, records.begin() as second:
            first.execute(text("SELECT 1"))
            second.execute(text("SELECT 1"))
            assert_away(away(lambda: ping(records)))
        ping(records)


def test_a_mistake_of_ours_is_not_taken_for_a_database_that_is_away(records: Records) -> None:
    arrive(records, 1)
    with pytest.raises(IntegrityError):
        change(records, "UPDATE series SET state = 'lost'")


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGKILL])
def test_a_server_that_is_killed_in_mid_transaction_and_comes_back(
    data_folder: Path, how: signal.Signals
) -> None:
    # With fsync: what was committed must be there again.
    with Postgres(data_folder) as server:
        migrate.upgrade(server.url)
        with Records.open(server.url) as records:
            arrive(records, 1)
            assert_away(away(lambda: index_while_killed(records, server, how)))
            assert_away(away(lambda: ping(records)))

            server.start()

            assert value(records, "SELECT count(*) FROM instance") == 1
            assert arrive(records, 1, 2, 3) == 2


def index_while_killed(records: Records, server: Postgres, how: signal.Signals) -> None:
    child = server.child
    assert child is not None
    with records.begin() as session:
        intake.index(session, [received(2)])
        os.kill(child.pid, how)
        wait_for(lambda: child.exit_code is not None)
        intake.index(session, [received(3)])
