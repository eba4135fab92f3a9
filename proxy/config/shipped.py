"""Data files of the package: the configurations of the demo and of nginx, from a wheel or from a checkout."""

from pathlib import Path

import proxy
from proxy.config.errors import ConfigError


def demo_configuration() -> Path:
    """The path of `demo.toml`. Raises ConfigError if it is missing."""
    return _shipped("demo.toml", "config/demo.toml")


def nginx_folder() -> Path:
    """The path of the folder `nginx/`. Raises ConfigError if it is missing."""
    return _shipped("nginx", "nginx")


def _shipped(installed: str, checked_out: str) -> Path:
    package = Path(proxy.__file__).parent
    for path in (package / "shipped" / installed, package.parent / checked_out):
        if path.exists():
            return path
    raise ConfigError(f"{checked_out} is missing from this installation")
