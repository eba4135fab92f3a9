"""The notice header lists the parameters that were changed or ignored."""

import pytest

from proxy.core.url.notice import Notice, notice_list


def test_a_notice_is_a_structured_field_list() -> None:
    header = notice_list([Notice("w", "1230", "1280"), Notice("g", "face", "auto")])
    assert header == "w;asked=1230;made=1280, gravity;asked=face;made=auto"
    assert (
        notice_list([Notice("kernel"), Notice("3"), Notice("a b")])
        == 'kernel;ignored, 3;ignored, "a b";ignored'
    )
    assert notice_list([]) == ""


@pytest.mark.parametrize(
    ("value", "bare"),
    [
        ("0", "0"),
        ("-15", "-15"),
        ("1.25", "1.25"),
        ("999999999999999", "999999999999999"),
        ("1000000000000000", '"1000000000000000"'),
        ("01", '"01"'),
        ("1.2345", '"1.2345"'),
        ("1.50", '"1.50"'),
        ("blur:1.5", "blur:1.5"),
        ("north_east", "north_east"),
        ("0.3:0.7", '"0.3:0.7"'),
        ("sepia,blur:2", '"sepia,blur:2"'),
        ("", '""'),
        ('a"\\b', '"a\\"\\\\b"'),
        ("é\n", '"??"'),
    ],
)
def test_values_are_numbers_tokens_or_strings(value: str, bare: str) -> None:
    assert notice_list([Notice("x", value, value)]) == f"x;asked={bare};made={bare}"
