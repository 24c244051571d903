"""Benchmarks: when they print."""
