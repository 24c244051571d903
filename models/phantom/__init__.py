"""A toddler's head as a CT phantom: drawn from a label map, its true volumes known."""
