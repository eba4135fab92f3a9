"""Protocols between the use cases and the world, a file a consumer. Implementations satisfy them by shape; nothing inherits.

The prose is the contract: what absent means, what may fail silently, who closes.
"""
