"""What the supervisor is made of: how each role is started, with what, and how it is looked at."""

import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fontanelle.settings import Settings, environment_of
from service.supervisor.keeper import Limits
from service.supervisor.probes import Probe

ROLES: Final = ("listener", "api", "dispatcher", "worker", "courier")
Commands = Mapping[str, tuple[str, ...]]
MakeProbes = Callable[[Settings, ExitStack], Mapping[str, Probe]]
"""Makes the probes; what they hold open is closed by the stack."""


def commands() -> Commands:
    """Return how each role is started."""
    return {role: (sys.executable, "-P", "-m", "service.cli", "run", role) for role in ROLES}


def migrate(url: str) -> None:
    """Bring the schema to this version."""
    from fontanelle.records.migrate import upgrade

    upgrade(url)


def probes(settings: Settings, stack: ExitStack) -> Mapping[str, Probe]:
    """Return how each role shows that it makes progress."""
    from fontanelle.records.database import Records
    from fontanelle.records.processes import beats, overdue
    from service.delivery.destination import lease_s
    from service.supervisor.probes import Patience, RowProbes, Rows, broker_answers, table

    assert settings.database_url is not None  # noqa: S101
    assert settings.broker_url is not None  # noqa: S101
    records = stack.enter_context(
        Records.open(settings.database_url.get_secret_value(), connections=1)
    )
    broker_url = settings.broker_url.get_secret_value()

    def read() -> Rows:
        with records.begin() as session:
            return Rows(tuple(beats(session)), overdue(session))

    stalled_s = settings.supervisor.stalled_s
    patience = Patience(
        stalled_s, settings.worker.wall_limit_s, stalled_s + lease_s(settings.courier.timeout_s)
    )
    rows = RowProbes(read, lambda: broker_answers(broker_url), patience)
    listener, api = settings.listener, settings.api
    return table((listener.host, listener.port), (api.host, api.port), rows)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the supervisor is made of; tests put programs of their own in."""

    commands: Callable[[], Commands] = commands
    migrate: Callable[[str], None] = migrate
    probes: MakeProbes = probes
    limits: Limits | None = None


def absolute(settings: Settings) -> Settings:
    """Return the settings with paths that hold in any working directory."""
    found: dict[str, object] = {"data": settings.data.absolute()}
    package = settings.worker.package
    if package is not None and Path(package).is_dir():
        folder = str(Path(package).absolute())
        found["worker"] = settings.worker.model_copy(update={"package": folder})
    return settings.model_copy(update=found)


def role_environment(ours: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """Return the environment of the roles: ours, but all settings as they were resolved."""
    kept = {name: value for name, value in ours.items() if not name.startswith("FONTANELLE_")}
    return kept | environment_of(settings)
