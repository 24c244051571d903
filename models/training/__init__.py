"""Training a network from label maps (torch)."""
