"""HTTP in, core values through, HTTP out."""
