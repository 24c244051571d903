"""The schema comes up from nothing, goes back, and is the one that is mapped."""

from collections.abc import Callable

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from fontanelle.errors import Code, Unavailable
from fontanelle.records import migrate
from fontanelle.records.database import Records
from fontanelle.records.tables import Base
from tests.integration.records.builders import arrive, at_once, succeeded


def tables(url: str) -> set[str]:
    engine = create_engine(url)
    try:
        return set(inspect(engine).get_table_names()) - {"alembic_version"}
    finally:
        engine.dispose()


def refusal(act: Callable[[], object]) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        act()
    assert caught.value.reason.code is Code.DATABASE_SCHEMA
    return caught.value


def test_the_schema_comes_up_from_nothing(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url)

    assert tables(empty_database_url) == set(Base.metadata.tables)
    migrate.check(empty_database_url)


def test_the_migrated_schema_is_the_mapped_one(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        differences = compare_metadata(context, Base.metadata)
    engine.dispose()

    assert differences == []


def test_what_a_comparison_of_tables_overlooks_is_the_mapped_one_too(
    database_url: str, empty_database_url: str
) -> None:
    """Conditions of partial indices, checks and defaults: alembic compares names only."""
    engine = create_engine(empty_database_url)
    Base.metadata.create_all(engine)
    engine.dispose()

    assert _definitions(database_url) == _definitions(empty_database_url)


def _definitions(url: str) -> set[str]:
    statement = text(
        "SELECT indexdef FROM pg_indexes"
        " WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
        " UNION SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace"
        " AND conrelid <> 'alembic_version'::regclass"
        " UNION SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable,"
        "   column_default, is_identity, identity_generation) FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name <> 'alembic_version'"
    )
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE IF NOT EXISTS alembic_version ()"))
            return set(connection.execute(statement).scalars())
    finally:
        engine.dispose()


def test_the_schema_goes_back_and_comes_up_again_on_data(database_url: str) -> None:
    with Records.open(database_url) as records:
        succeeded(records)

    migrate.downgrade(database_url, "base")
    assert tables(database_url) == set()

    migrate.upgrade(database_url)
    with Records.open(database_url) as records:
        assert arrive(records, 1) == 1


def test_coming_up_twice_changes_nothing(database_url: str) -> None:
    with Records.open(database_url) as records:
        arrive(records, 1)
        migrate.upgrade(database_url)
        assert arrive(records, 1) == 0


def test_two_that_migrate_at_once_migrate_once(empty_database_url: str) -> None:
    at_once(*[lambda: migrate.upgrade(empty_database_url)] * 4)

    migrate.check(empty_database_url)


def test_a_check_says_what_is_missing_and_what_to_do(empty_database_url: str) -> None:
    said = refusal(lambda: migrate.check(empty_database_url)).reason.sentence

    assert "none" in said
    assert "0003" in said
    assert "fontanelle db upgrade" in said


def test_a_schema_of_a_later_version_is_not_upgraded_but_named(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()

    for act in (migrate.check, migrate.upgrade):
        said = refusal(lambda act=act: act(database_url)).reason.sentence  # type: ignore[misc]
        assert "9999" in said
        assert "db upgrade" not in said


def test_a_revision_that_there_is_not_is_named(database_url: str) -> None:
    assert "yesterday" in str(refusal(lambda: migrate.downgrade(database_url, "yesterday")))
    migrate.check(database_url)


def test_a_failing_migration_leaves_the_schema_as_it_was(empty_database_url: str) -> None:
    engine = create_engine(empty_database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE delivery_attempt (id int)"))
    with pytest.raises(Exception, match="delivery_attempt"):
        migrate.upgrade(empty_database_url)
    engine.dispose()

    assert tables(empty_database_url) == {"delivery_attempt"}
