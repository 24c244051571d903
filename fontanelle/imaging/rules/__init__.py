"""Admission rules: what a rule is, and the tables of them by subject."""
