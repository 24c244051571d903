"""Sending against real receivers: pynetdicom, dcmtk, Orthanc, and peers that misbehave."""
