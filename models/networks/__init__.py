"""The networks, one module each; `models.network` builds them."""
