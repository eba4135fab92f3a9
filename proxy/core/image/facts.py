"""Facts: what is known of an original once its header has been read, kept by identity in every tier."""

from dataclasses import dataclass

from proxy.core.image.formats import TRAITS, Format


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Sides are upright, in pixels."""

    format: Format
    width_px: int
    height_px: int
    pages: int
    alpha: bool

    @property
    def animated(self) -> bool:
        """Several pages make an animation only in formats that play: a HEIC's second picture is not one."""
        return self.pages > 1 and TRAITS[self.format].animation
