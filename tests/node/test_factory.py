"""What stops a start, and how settings become components."""

import pytest

from proxy.config.errors import ConfigError
from proxy.config.settings import load
from proxy.core.image.formats import Format
from proxy.core.transform.operations import Adjust, Colour, Tone
from proxy.node.factory import check_worker, input_limits, mounts, render_defaults
from proxy.render.protocol import Hello
from tests.support.strategies import flat


def test_an_old_libvips_stops_the_start_with_one_line() -> None:
    with pytest.raises(ConfigError) as caught:
        check_worker(load(), Hello(libvips=(8, 14, 1), formats=[]))
    assert "libvips 8.14.1 is older than 8.16.0" in str(caught.value)
    assert "pyvips-binary" in str(caught.value)
    check_worker(load(), Hello(libvips=(8, 16, 0), formats=[]))


def test_settings_reach_their_components() -> None:
    settings = load(
        None,
        {
            "sources": {"a": {"path": "/a"}},
            "mounts": {
                "m": {"source": "a", "max_age": "400d", "transforms": ["h_9,w_7,c_fit", "t_card,e_sepia"]}
            },
            "dimensions": {"allowed": (200, 100, 200), "colours": ["f00", "01020304"]},
            "presets": {"card": "w_5"},
            "formats": {"avif_effort": 3},
            "limits": {"output_max_side": 99, "original_max_frames": 7},
        },
    )
    [mount] = mounts(settings)
    assert mount.allowed_px == (100, 200)
    assert mount.max_age_s == 400 * 86_400
    assert mount.colours == {Colour(255, 0, 0), Colour(1, 2, 3, 4)}
    sepia = (Adjust(Tone.SEPIA, 80),)
    assert mount.transforms == {flat(width=7, height=9), flat(width=5, effects=sepia)}
    assert render_defaults(settings).max_side_px == 99
    assert render_defaults(settings).effort[Format.AVIF] == 3
    assert input_limits(settings).max_frames == 7
