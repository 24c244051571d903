"""The processes that face people: command line first."""
