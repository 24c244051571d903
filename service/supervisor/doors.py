"""Which doors stand open, in words: said at every start, and by `doctor`."""

from collections.abc import Iterator

from fontanelle.settings import Settings, is_loopback
from service.supervisor.folder import is_readable_by_others


def open_doors(settings: Settings) -> Iterator[str]:
    """Say each thing that lets in, or shows, more than the defaults do; and a house without a door.

    Parameters
    ----------
    settings
        As they will be used.
    """
    api, listener = settings.api, settings.listener
    if not api.require_key:
        yield (
            f"The API and the pages ask for no key: whoever reaches {api.host}:{api.port} sees "
            "every patient and may change everything."
        )
    if not is_loopback(api.host):
        yield (
            f"The API listens beyond this machine ({api.host}:{api.port}), in plain HTTP: put a "
            "proxy with TLS before it."
        )
    if not is_loopback(listener.host):
        yield (
            f"The DICOM port listens beyond this machine ({listener.host}:{listener.port}), "
            "unencrypted: AE title and host are all that is checked."
        )
    if settings.data.is_dir() and is_readable_by_others(settings.data):
        yield f"Other users of this machine can list {settings.data}: chmod go-r it."
    if not settings.supervisor.fsync:
        yield "PostgreSQL does not wait for the disk: a power cut loses rows."
    yield from _senders(settings)


def _senders(settings: Settings) -> Iterator[str]:
    if not settings.sources:
        yield "There is no source: nobody may send. Name them in the settings (`sources`)."
    beyond = [source.ae_title for source in settings.sources if not is_loopback(source.host)]
    if beyond and is_loopback(settings.listener.host):
        yield (
            f"The DICOM port is on loopback, where {', '.join(beyond)} cannot reach it: set "
            "FONTANELLE_LISTENER_HOST."
        )


def as_lines(doors: Iterator[str]) -> list[str]:
    """Return them as lines of a warning."""
    return [f"Warning: {door}" for door in doors]
