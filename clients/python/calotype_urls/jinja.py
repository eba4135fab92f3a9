"""The functions for Jinja templates."""

from functools import partial

from jinja2 import Environment
from markupsafe import Markup

from calotype_urls import Signer, picture, srcset, url


def add_to(environment: Environment, *, base: str = "", signer: Signer | None = None) -> None:
    """Adds `calotype_url`, `calotype_srcset` and `calotype_picture` to the globals of `environment`."""

    def safe_picture(*args: object, **parameters: object) -> Markup:
        return Markup(picture(*args, **parameters, base=base, signer=signer))  # noqa: S704 (it escapes every value)

    environment.globals.update(
        calotype_url=partial(url, base=base, signer=signer),
        calotype_srcset=partial(srcset, base=base, signer=signer),
        calotype_picture=safe_picture,
    )
