"""Addresses, trusted proxies and circuit breakers, as values."""
