"""Fontanelle measures the brain of a small child from a head CT that was taken anyway."""
