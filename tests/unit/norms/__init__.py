"""Tests of references and comparisons."""
