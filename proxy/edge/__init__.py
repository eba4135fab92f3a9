"""HTTP: requests to core values, and core values to responses."""
