"""Configurations of vendors, read without being executed, as settings of a node."""
