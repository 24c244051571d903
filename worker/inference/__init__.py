"""Engines: arrays and sessions, no DICOM, no queue."""
