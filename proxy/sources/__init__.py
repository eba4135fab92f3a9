"""Places originals come from."""
