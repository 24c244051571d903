"""The networks: torch modules, label protocols, training, export and the package format."""
