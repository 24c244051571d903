"""References as data, and the comparison of a child with one."""
