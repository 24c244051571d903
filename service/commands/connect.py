"""Where commands find the running installation: by its settings, or by the `up` of its folder."""

from fontanelle.errors import Code, Unavailable
from fontanelle.settings import Settings


def database_url(settings: Settings) -> str:
    """Return the address of the records.

    Raises
    ------
    Unavailable
        DATABASE_AWAY where none is set and no `fontanelle up` runs on the data folder.
    """
    from service.supervisor.folder import running

    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    found = running(settings.data)
    if found is None or found.database_url is None:
        raise Unavailable(
            Code.DATABASE_AWAY,
            "No `fontanelle up` runs on this data folder, and FONTANELLE_DATABASE_URL is not set.",
        )
    return found.database_url
