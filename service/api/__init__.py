"""HTTP: the contract of JSON under /api/v1, and what guards it."""
