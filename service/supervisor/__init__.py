"""What `fontanelle up` does: starts servers and roles, and replaces whoever makes no progress."""
