"""Addresses, hops and circuit breakers, as values."""
