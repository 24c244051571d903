"""The references that come with the product, one sealed JSON file each."""
