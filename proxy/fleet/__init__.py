"""The other nodes, met over Redis."""
