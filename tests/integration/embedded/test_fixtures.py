"""What tests are given: a database of their own each, and an empty bus."""

import psycopg


def _make_table(url: str) -> list[str]:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("CREATE TABLE mine (id int)")
        rows = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchall()
    return [str(row[0]) for row in rows]


def test_a_test_has_a_database_of_its_own(empty_database_url: str) -> None:
    assert _make_table(empty_database_url) == ["mine"]


def test_and_the_next_one_another(empty_database_url: str) -> None:
    assert _make_table(empty_database_url) == ["mine"]


def test_the_bus_answers_celery(valkey_url: str) -> None:
    from celery import Celery

    with Celery(broker=valkey_url).connection_for_write() as connection:
        connection.ensure_connection(max_retries=1)
