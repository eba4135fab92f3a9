"""Protocols between the use cases and the rooms that implement them, a file a consumer. Implementations satisfy them
structurally.

The docstrings are the contract: the meaning of an absent value, which faults are silent, and which side closes.
"""
