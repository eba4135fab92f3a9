"""Django template tags: add "calotype_urls" to INSTALLED_APPS, and write `{% load calotype %}`.

Settings: CALOTYPE_BASE, the address of the node; CALOTYPE_SECRET, CALOTYPE_KEY_ID and CALOTYPE_LIFETIME_S, to sign URLs.
"""

from django import template
from django.conf import settings
from django.utils.safestring import SafeString, mark_safe

from calotype_urls import Signer, picture, srcset, url

register = template.Library()


def _node() -> dict[str, object]:
    secret = getattr(settings, "CALOTYPE_SECRET", "")
    signer = (
        Signer(
            secret,
            key_id=getattr(settings, "CALOTYPE_KEY_ID", ""),
            lifetime_s=getattr(settings, "CALOTYPE_LIFETIME_S", None),
        )
        if secret
        else None
    )
    return {"base": getattr(settings, "CALOTYPE_BASE", ""), "signer": signer}


@register.simple_tag
def calotype_url(key: str, **parameters: object) -> str:
    return url(key, **_node(), **parameters)


@register.simple_tag
def calotype_srcset(key: str, **parameters: object) -> str:
    return srcset(key, **_node(), **parameters)


@register.simple_tag
def calotype_picture(key: str, **parameters: object) -> SafeString:
    return mark_safe(picture(key, **_node(), **parameters))  # noqa: S308 (it escapes every value)
