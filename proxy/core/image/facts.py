"""Facts: properties of an original read from its header, stored by identity in every tier."""

from dataclasses import dataclass

from proxy.core.image.formats import TRAITS, Format


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Sides are in pixels after EXIF orientation. `drawing`: a lossless file of few bytes, so a drawing, a logo or a
    screenshot, and no photograph."""

    format: Format
    width_px: int
    height_px: int
    pages: int
    alpha: bool
    drawing: bool = False

    @property
    def animated(self) -> bool:
        """Several pages are an animation only in formats with animation: the second picture of a HEIC is not a frame."""
        return self.pages > 1 and TRAITS[self.format].animation
