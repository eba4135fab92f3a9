"""Places where variants are kept; siblings that do not know one another."""
