"""What stops a start."""


class ConfigError(Exception):
    """The configuration cannot be used; one line that names the key."""
