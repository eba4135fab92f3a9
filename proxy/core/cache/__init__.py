"""Cache keys and freshness."""
