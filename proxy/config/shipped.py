"""What comes with the package and is no code: the demo's configuration and nginx's, from a wheel or from a checkout."""

from pathlib import Path

import proxy
from proxy.config.errors import ConfigError


def demo_configuration() -> Path:
    """`demo.toml`; raises ConfigError if it is missing."""
    return _shipped("demo.toml", "config/demo.toml")


def nginx_folder() -> Path:
    """The folder `nginx/`; raises ConfigError if it is missing."""
    return _shipped("nginx", "nginx")


def _shipped(installed: str, checked_out: str) -> Path:
    package = Path(proxy.__file__).parent
    for path in (package / "shipped" / installed, package.parent / checked_out):
        if path.exists():
            return path
    raise ConfigError(f"{checked_out} is missing from this installation")
