"""Clients for remote HTTP and S3 servers, with timeouts, retry budget and circuit breaker, and their errors."""
