"""Finding faces, in the worker that does nothing else. The examined picture is a small variant of the original, so that
decoding, limits, colours and orientation are those of every render.
"""

import pyvips

from proxy.core.image.faces import Faces, faces_of
from proxy.core.image.formats import Format
from proxy.core.image.limits import InputLimits
from proxy.core.image.size import Size
from proxy.core.transform.operations import WHITE, Resize
from proxy.core.transform.plan import Encode, Plan
from proxy.render import pipeline
from proxy.render.checked_original import CheckedOriginal
from proxy.render.libfacedetection import VIEW_PX, Library

_VIEW = Plan(
    ops=(Resize(width=VIEW_PX, height=VIEW_PX),),
    limit_px=VIEW_PX,
    output=Encode(format=Format.JPEG, quality=90, effort=0, flatten=WHITE),
)


class FaceFinder:
    """The loaded detector, used once: nothing is left to be loaded in the sandbox. Raises OSError without the extra."""

    def __init__(self) -> None:
        self._library = Library()
        self._library.detect(bytes(64 * 64 * 3), 64, 64)

    def find(self, opened: CheckedOriginal, limits: InputLimits) -> Faces:
        """The faces of the first page. Raises the errors of a render."""
        view = pyvips.Image.new_from_buffer(pipeline.render(opened, _VIEW, limits), "")
        bgr = view[2].bandjoin([view[1], view[0]])
        found = self._library.detect(bytes(bgr.write_to_memory()), view.width, view.height)
        return faces_of(found, Size(view.width, view.height))
