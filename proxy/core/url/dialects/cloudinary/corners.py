"""The corners and the border of a component, which Cloudinary draws last."""

from collections.abc import Iterator

from proxy.core.transform.operations import Ellipse, Flatten, Operation, Pad, Rounded
from proxy.core.url.dialects.cloudinary.requested import Parameters


def shaped(here: Parameters) -> Iterator[Operation]:
    """The corners and the border. The border fills what the inner corners cut off, and has the outer corners itself."""
    if (border := here.border) is not None:
        width_px, colour = border
        match here.shape:
            case Rounded(radii_px):
                inner = tuple(max(0, radius - width_px) for radius in radii_px)
                yield Rounded(inner)  # type: ignore[arg-type] # As many as before.
            case Ellipse():
                yield Ellipse()
        if here.shape is not None:
            yield Flatten(colour)
        yield Pad.around(width_px, colour)
    if here.shape is not None:
        yield here.shape
