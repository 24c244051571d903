"""The references that a worker compares with: each is read once, and the newest one is served."""

from dataclasses import dataclass, field, replace

from fontanelle.errors import Code, Unavailable
from fontanelle.norms.reference import load, shipped_ids
from fontanelle.norms.values import Reference
from fontanelle.records import analyses, references, tooling
from fontanelle.records.database import Records
from fontanelle.records.tooling import Tooling


@dataclass(slots=True)
class Shelf:
    """What was read of the records so far.

    Attributes
    ----------
    read
        References by version; a version never changes.
    served
        The version that this worker said last that it serves; None until another one came than it
        started with.
    """

    read: dict[str, Reference] = field(default_factory=dict)
    served: str | None = None

    def follow(self, records: Records, wanted: str, started_with: Tooling) -> str | None:
        """Serve a newer revision of the reference from now on, where one was imported.

        Parameters
        ----------
        wanted
            As the settings name it. One of the product's is the same until the next start, and so
            is a version.
        started_with
            What this worker said when it started.

        Returns
        -------
        str or None
            The version, where it is another one than before.
        """
        if wanted in shipped_ids() or wanted.startswith(references.VERSION):
            return None
        with records.begin() as session:
            newest = references.newest_version(session, wanted)
            if newest is None or newest == (self.served or started_with.reference_version):
                return None
            served = replace(started_with, reference_version=newest)
            tooling.register(session, served)
            analyses.retool(session, served)
        self.served = newest
        return newest

    def reference(self, records: Records, version: str) -> Reference:
        """Return the reference of a version.

        Raises
        ------
        Unavailable
            REFERENCE_UNKNOWN where the records do not hold it.
        """
        if version not in self.read:
            with records.begin() as session:
                document = references.document(session, version)
            if document is None:
                raise Unavailable(
                    Code.REFERENCE_UNKNOWN, f"The records do not hold the reference {version}."
                )
            self.read[version] = load(document)
        return self.read[version]
