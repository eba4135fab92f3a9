"""Presets, native or of imgproxy, become native ones."""

import json

import pytest

from proxy.core.admin.imports.preset_file import read_presets


def presets(**written: object) -> tuple[dict[str, object], list[str]]:
    imported = read_presets(json.dumps(written))
    return {path[1]: value for path, value in imported.settings.items()}, imported.notes


@pytest.mark.parametrize(
    ("written", "native"),
    [
        ("w_300,h_200,c_fill", "w_300,h_200,c_fill"),
        ("w_300~e_sepia", "w_300~e_sepia"),
        ("rs:fill:300:200:1", "w_300,h_200,c_fill"),
        ("rs:fit:300/q:70", "w_300,eq_70"),
        ("resize:force:300:200/f:webp/bl:2", "w_300,h_200,c_scale,el_ratio,f_webp,e_blur:2"),
        ("sharpen:0.7", "e_sharpen:0.7"),
    ],
)
def test_a_preset_is_written_natively(written: str, native: str) -> None:
    found, notes = presets(card=written)
    assert (sorted(str(found["card"]).split(",")), notes) == (sorted(native.split(",")), [])


def test_a_preset_may_name_others_in_any_order() -> None:
    found, notes = presets(both="pr:card:sharp", card="rs:fit:300", sharp="sh:1", native="t_card,q_50")
    assert found["both"] == "e_sharpen:1~w_300"
    assert found["native"] == "w_300,q_50"
    assert notes == []


def test_the_default_preset_is_not_part_of_others() -> None:
    found, _ = presets(default="rs:fit:100", card="q:70")
    assert found == {"default": "w_100", "card": "eq_70"}


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("x:1", "option x is unknown"),
        ("pr:missing", "names no preset"),
        ("raw:1", "the original itself"),
        ("w_0", "unknown|must|separ|missing|base64"),
        (5, "must be a text"),
    ],
)
def test_a_preset_that_is_not_carried_over_has_a_note(written: object, says: str) -> None:
    found, notes = presets(card=written)
    assert found == {}
    assert len(notes) == 1
    assert any(word in notes[0] for word in says.split("|"))


def test_what_a_preset_loses_has_a_note() -> None:
    assert presets(card="rs:fit:300/ra:cubic") == ({"card": "w_300"}, ["preset 'card': without ra"])
    found, notes = presets(grow="el:1")
    assert found == {"grow": "dpr_1"}
    assert "requests nothing by itself" in notes[0]


def test_presets_may_be_in_a_table() -> None:
    assert read_presets('{"presets": {"a": "w_1"}}').settings == {("presets", "a"): "w_1"}


@pytest.mark.parametrize("text", ["", "[]", "1", "{", "[" * 100_000])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a JSON object"):
        read_presets(text)
