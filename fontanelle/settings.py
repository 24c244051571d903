"""Every setting: one frozen section a role, from one TOML file and the environment.

`FONTANELLE_<SECTION>_<NAME>` sets one value and wins over the file that `FONTANELLE_SETTINGS`
names. Secrets (the addresses of database and broker) come from the environment, or from files:
`FONTANELLE_DATABASE_URL_FILE`. Nothing below a composition root imports this module.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from fontanelle.errors import Code, Refused

PREFIX: Final = "FONTANELLE_"
FILE: Final = "FONTANELLE_SETTINGS"
SECRET_FILE_SUFFIX: Final = "_FILE"  # noqa: S105 (the end of a name, no secret)
SEND_AE_TITLE: Final = "FONTANELLE-SEND"
"""How `fontanelle send` calls itself unless told otherwise; known, on loopback, from the start."""
_NOT_SETTINGS: Final = frozenset({FILE, "FONTANELLE_REQUIRE_PEERS"})


def _ae_title(value: str) -> str:
    """PS3.5 6.2, VR AE: 1 to 16 printable characters without backslash, spaces not significant."""
    stripped = value.strip(" ")
    if not re.fullmatch(r"[\x20-\x5b\x5d-\x7e]{1,16}", stripped):
        raise ValueError("an AE title has 1 to 16 printable characters and no backslash")
    return stripped


def _host(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.:_-]{1,255}", value):
        raise ValueError("not a host name or address")
    return value


AETitle = Annotated[str, AfterValidator(_ae_title)]
Host = Annotated[str, AfterValidator(_host)]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
ObjectKind = Literal["segmentation", "structured_report"]


class Section(BaseModel):
    """A frozen group of settings; an unknown name is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Source(Section):
    """Who may send to us."""

    ae_title: AETitle
    """Its (calling) AE title."""
    host: Host = "127.0.0.1"
    """The host name or address that it calls from."""
    quiet_period_s: Annotated[float, Field(ge=0)] = 60.0
    """A series of this source counts as complete when nothing came for so long."""


class Destination(Section):
    """Whom we send results to."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
    """What it is called here, in logs and on pages."""
    ae_title: AETitle
    """Its (called) AE title."""
    host: Host
    port: Annotated[int, Field(ge=1, le=65535)]
    release: Literal["after_review", "at_once"]
    """Whether results go out before a person has accepted them. The site's decision: no default."""
    objects: tuple[ObjectKind, ...] = ("segmentation", "structured_report")
    """What it is sent."""
    calling_ae_title: AETitle | None = None
    """How we call ourselves to it; the listener's AE title unless said."""


class ListenerSettings(Section):
    """The C-STORE listener."""

    ae_title: AETitle = "FONTANELLE"
    host: Host = "127.0.0.1"
    """Address to listen on: loopback unless told otherwise."""
    port: Port = 11112
    maximum_associations: Annotated[int, Field(ge=1)] = 32
    maximum_associations_per_host: Annotated[int, Field(ge=1)] = 16
    maximum_pdu_bytes: Annotated[int, Field(ge=16384, le=1 << 20)] = 131072
    timeout_s: Seconds = 30.0
    """A peer that says nothing for so long is disconnected."""
    minimum_free_bytes: Annotated[int, Field(ge=0)] = 1 << 30
    """Below this much free space on the spool new instances are refused with 0xA700."""
    conflict_status: Annotated[int, Field(ge=0, le=0xFFFF)] = 0xC110
    """Answer to an instance whose UID is here with other bytes. Both are kept."""


class ApiSettings(Section):
    """HTTP: the API and the pages."""

    host: Host = "127.0.0.1"
    """Address to listen on: loopback unless told otherwise."""
    port: Port = 8765
    require_key: bool = True
    """API keys are asked for; off only by `--no-auth` or by saying so."""
    session_hours: Seconds = 12.0
    """How long a person's browser session lasts."""


class DispatcherSettings(Section):
    """What decides that a series is complete, and has it analysed."""

    poll_s: Seconds = 0.1
    send_again_s: Seconds = 10.0
    """A queued analysis whose message was sent so long ago is announced once more."""


class WorkerSettings(Section):
    """What measures."""

    package: str | None = None
    """Name or folder of the package; the shipped one unless said."""
    reference: str = "xi2025"
    """A reference of the product, or an imported one: by its name (then always its newest revision)
    or by its version, `sha256:` and the digest."""
    lease_s: Seconds = 30.0
    """An analysis whose worker gave no sign for so long is taken from it."""
    heartbeat_s: Seconds = 5.0
    wall_limit_s: Seconds = 900.0
    """No attempt at an analysis may last longer."""
    attempts: Annotated[int, Field(ge=1, le=10)] = 3

    @model_validator(mode="after")
    def _a_heartbeat_fits_into_a_lease(self) -> Self:
        if self.heartbeat_s * 2 > self.lease_s:
            raise ValueError("lease_s must be at least twice heartbeat_s")
        return self


class CourierSettings(Section):
    """What delivers."""

    poll_s: Seconds = 0.2
    timeout_s: Seconds = 30.0
    """A destination that says nothing for so long is given up for this attempt."""
    back_off_first_s: Seconds = 5.0
    back_off_most_s: Seconds = 3600.0
    attempts: Annotated[int, Field(ge=1)] = 30
    """After so many a delivery is dead until a person has it sent again."""


class ComparisonSettings(Section):
    """How a child is compared with a reference."""

    tier: Literal["local", "calibrated", "published", "derived", "pooled"] | None = None
    """The tier that decides; the best that reference and site allow unless said."""
    head_chart: str | None = None
    """The imported table of head circumferences (a reference of kind `lms`, in cm), by name or
    version; the CDC's of 2000 unless said. The worker asks for it when it starts."""
    correct_below_weeks: Annotated[int, Field(ge=20, le=42)] = 37
    """The age of a child born before so many completed weeks is corrected (preterm as the WHO
    defines it)."""
    correct_until_days: Annotated[int, Field(ge=0)] = 730
    """Age since birth up to which it is corrected: 24 months. Source: secondary summaries of the
    usual advice; not verified, the texts of the AAP and the RCPCH were not read."""
    correct_long_below_weeks: Annotated[int, Field(ge=20, le=42)] = 32
    """Born before so many completed weeks, a child is corrected for longer. Source: as before; not
    verified."""
    correct_long_until_days: Annotated[int, Field(ge=0)] = 1095
    """Age since birth up to which these are corrected: 36 months. Source: as before; not
    verified."""

    @model_validator(mode="after")
    def _earlier_is_not_shorter(self) -> Self:
        if (
            self.correct_long_below_weeks > self.correct_below_weeks
            or self.correct_long_until_days < self.correct_until_days
        ):
            raise ValueError("who is born earlier must not be corrected for a shorter time")
        return self


class SupervisorSettings(Section):
    """What starts the roles and replaces those that make no progress."""

    stalled_s: Seconds = 30.0
    """A role that has taken nothing for so long while work is due is replaced."""
    stop_s: Seconds = 20.0
    """What a role is given to finish what it has in hand."""
    fsync: bool = True
    """Whether the embedded PostgreSQL waits for the disk; off in tests only."""


def default_data_folder() -> Path:
    """Return where everything lies unless told otherwise."""
    if os.geteuid() == 0:
        return Path("/var/lib/fontanelle")
    home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(home).expanduser() / "fontanelle"


class Settings(Section):
    """All of them."""

    data: Path = Field(default_factory=default_data_folder)
    """The one folder of spool, results and embedded servers."""
    database_url: SecretStr | None = None
    """`postgresql://...`; without it `up` starts a PostgreSQL of its own. From the environment."""
    broker_url: SecretStr | None = None
    """`redis://...`; without it `up` starts a Valkey of its own. From the environment."""
    sources: tuple[Source, ...] = (Source(ae_title=SEND_AE_TITLE, quiet_period_s=2.0),)
    destinations: tuple[Destination, ...] = ()
    listener: ListenerSettings = ListenerSettings()
    api: ApiSettings = ApiSettings()
    dispatcher: DispatcherSettings = DispatcherSettings()
    worker: WorkerSettings = WorkerSettings()
    courier: CourierSettings = CourierSettings()
    supervisor: SupervisorSettings = SupervisorSettings()
    comparison: ComparisonSettings = ComparisonSettings()

    @property
    def spool(self) -> Path:
        """Folder of what came in."""
        return self.data / "spool"

    @property
    def results(self) -> Path:
        """Folder of what we made."""
        return self.data / "results"

    @model_validator(mode="after")
    def _names_are_said_once(self) -> Self:
        for what, names in (
            ("sources", [source.ae_title for source in self.sources]),
            ("destinations", [destination.name for destination in self.destinations]),
        ):
            if len(set(names)) < len(names):
                raise ValueError(f"{what} holds a name twice")
        return self


SECRETS: Final = ("database_url", "broker_url")
SECTIONS: Final[Mapping[str, type[Section]]] = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
}


def load(environment: Mapping[str, str], **given: object) -> Settings:
    """Read the settings once.

    Parameters
    ----------
    environment
        Usually `os.environ`.
    given
        What the command line says; wins over all. None leaves the rest as it is.

    Raises
    ------
    Refused
        SETTINGS_INVALID with one sentence for each mistake: an unknown name (with the nearest
        known one), a value that does not fit, a secret in the file.
    """
    values = _from_file(environment.get(FILE))
    mistakes = [f"{name} must come from the environment" for name in SECRETS if name in values]
    mistakes += _from_environment(environment, values)
    values |= {name: value for name, value in given.items() if value is not None}
    if mistakes:
        raise Refused(Code.SETTINGS_INVALID, "; ".join(mistakes) + ".")
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise Refused(Code.SETTINGS_INVALID, "; ".join(_sentences(error)) + ".") from error


def secret(value: SecretStr | None, name: str) -> str:
    """Return a secret that a role cannot do without.

    Raises
    ------
    Refused
        SETTINGS_INVALID where it is not set.
    """
    if value is None:
        raise Refused(
            Code.SETTINGS_INVALID,
            f"{_variable(name)} is not set. `fontanelle up` starts servers of its own; a single "
            "role needs the addresses of those that are there.",
        )
    return value.get_secret_value()


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the settings as environment variables: how a supervisor hands them to its roles."""
    found: dict[str, str] = {}
    for name, value in settings.model_dump(mode="json", exclude_none=True).items():
        if name in SECTIONS:
            found |= {_variable(name, each): _text(inner) for each, inner in value.items()}
        else:
            found[_variable(name)] = _text(value)
    for name in SECRETS:
        secret = getattr(settings, name)
        if secret is not None:
            found[_variable(name)] = secret.get_secret_value()
    return found


@dataclass(frozen=True, slots=True)
class Explained:
    """One setting, for a person: its dotted name, its value as JSON, and where it came from."""

    name: str
    value: object
    origin: str


def explained(settings: Settings, environment: Mapping[str, str]) -> list[Explained]:
    """Return every setting with its value and its origin; secrets as `***`.

    Parameters
    ----------
    settings
        What `load` made of the environment.
    environment
        The same that `load` was given.
    """
    origins = _origins(environment)
    found = []
    for name, value in settings.model_dump(mode="json").items():
        inner = value.items() if name in SECTIONS else [(None, value)]
        for each, said in inner:
            path = (name,) if each is None else (name, each)
            shown = "***" if name in SECRETS and said is not None else said
            found.append(Explained(".".join(path), shown, origins.get(path, "default")))
    return found


def _origins(environment: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """Return where the settings that were said come from; the later one wins, as in `load`."""
    origins: dict[tuple[str, ...], str] = {}
    for name, value in _from_file(environment.get(FILE)).items():
        inner = value if name in SECTIONS and isinstance(value, dict) else None
        paths = [(name,)] if inner is None else [(name, each) for each in inner]
        origins |= dict.fromkeys(paths, f"the file that {FILE} names")
    known = known_variables()
    origins |= {known[each]: each for each in sorted(environment) if each in known}
    return origins


def known_variables() -> dict[str, tuple[str, ...]]:
    """Return every environment variable with the path of its setting."""
    found: dict[str, tuple[str, ...]] = {}
    for name in Settings.model_fields:
        if section := SECTIONS.get(name):
            found |= {_variable(name, each): (name, each) for each in section.model_fields}
        else:
            found[_variable(name)] = (name,)
    for name in SECRETS:
        found[_variable(name) + SECRET_FILE_SUFFIX] = (name,)
    return found


def _variable(*path: str) -> str:
    return PREFIX + "_".join(path).upper()


def _text(value: object) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value)


def _from_file(path: str | None) -> dict[str, Any]:
    if not path:
        return {}
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise Refused(
            Code.SETTINGS_INVALID, f"The file that {FILE} names cannot be read."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Refused(
            Code.SETTINGS_INVALID, f"The file that {FILE} names is not TOML: {error}."
        ) from error


def _from_environment(environment: Mapping[str, str], values: dict[str, Any]) -> list[str]:
    """Put what the environment says into `values`; return what it says wrongly."""
    known = known_variables()
    mistakes = []
    for variable in sorted(environment):
        if not variable.startswith(PREFIX) or variable in _NOT_SETTINGS:
            continue
        path = known.get(variable)
        if path is None:
            near = get_close_matches(variable, known, n=1)
            mistakes.append(
                f"there is no setting {variable}" + (f"; {near[0]} is near" if near else "")
            )
            continue
        value: object = environment[variable]
        if variable.endswith(SECRET_FILE_SUFFIX):
            try:
                value = Path(environment[variable]).read_text(encoding="utf-8").strip()
            except OSError:
                mistakes.append(f"the file that {variable} names cannot be read")
                continue
        _put(values, path, _parsed(path, value))
    return mistakes


def _parsed(path: tuple[str, ...], value: object) -> object:
    """Read lists as JSON; pydantic turns the text of every other value into its type."""
    import json

    if path[0] in {"sources", "destinations"}:
        try:
            return json.loads(str(value))
        except json.JSONDecodeError:
            return value
    return value


def _put(values: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    for name in path[:-1]:
        values = values.setdefault(name, {})
    values[path[-1]] = value


def _sentences(error: ValidationError) -> list[str]:
    """Say each mistake; the value itself is left out, it may be a secret."""
    return [
        f"{'.'.join(str(step) for step in mistake['loc']) or 'settings'}: {mistake['msg']}"
        for mistake in error.errors(include_input=False, include_url=False)
    ]


def is_loopback(host: str) -> bool:
    """Tell whether an address reaches this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
