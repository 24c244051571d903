"""Tests of fontanelle.imaging."""
