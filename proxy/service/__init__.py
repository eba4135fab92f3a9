"""Use cases: async, and only through the ports."""
