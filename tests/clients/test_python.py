"""The Python client writes the URLs that the node writes, and signs as the node does."""

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import django
import jinja2
import pytest
from calotype_urls import PARAMETERS, Signer, picture, srcset, url
from calotype_urls.jinja import add_to
from django.conf import settings as django_settings
from django.template import Context, Engine
from django.utils.html import conditional_escape
from hypothesis import given
from markupsafe import Markup

from config.generate import ROOT, client_tables
from proxy.core.url.dialects.native.params import PATH
from proxy.core.url.dialects.native.urls import parse_tokens
from proxy.core.url.signing import verify
from tests.clients.cases import CLIENTS, TOKENS, Case, cases

SECRET = "0123456789abcdef0123456789abcdef"


def test_the_table_has_every_parameter_in_the_order_of_urls() -> None:
    assert list(TOKENS.values()) == ["t", *PATH]
    assert PARAMETERS == TOKENS


@pytest.mark.parametrize("path", client_tables())
def test_the_generated_files_are_up_to_date(path: str) -> None:
    assert (ROOT / path).read_text() == client_tables()[path]


@given(cases)
def test_urls_are_those_of_the_node(case: Case) -> None:
    assert url(case.key, *case.steps[:-1], **case.steps[-1]) == case.url


@given(cases)
def test_a_base_is_put_before_the_url(case: Case) -> None:
    for base in (
        "https://images.shop.example",
        "https://images.shop.example/",
        "//cdn.example/shop/",
        "/shop",
    ):
        assert url(case.key, *case.steps, base=base) == base.rstrip("/") + case.url


@pytest.mark.parametrize("key_id", ["", "k1"])
@pytest.mark.parametrize("lifetime_s", [None, 3600])
@given(case=cases)
def test_signed_urls_are_valid(case: Case, key_id: str, lifetime_s: float | None) -> None:
    signed = url(
        case.key,
        *case.steps,
        base="https://x.example/shop",
        signer=Signer(SECRET, key_id=key_id, lifetime_s=lifetime_s),
    )
    target = signed.removeprefix("https://x.example")
    found = verify(target, {key_id or "other": SECRET.encode()})
    assert found is not None
    assert found.target == f"/shop{case.url}"
    assert (found.restrictions.until_s is None) == (lifetime_s is None)


def test_numbers_have_no_exponent_and_no_needless_zeros() -> None:
    assert url("a.jpg", dpr=1.5, ratio=0.25) == "/ar_0.25,dpr_1.5/a.jpg"
    assert url("a.jpg", dpr=2.0) == "/dpr_2/a.jpg"
    assert url("a.jpg", width=None, format="auto") == "/f_auto/a.jpg"


@pytest.mark.parametrize(
    ("wrong", "kind", "says"),
    [
        ({"widht": 3}, TypeError, "widht: unknown parameter; is width meant?"),
        ({"width": True}, ValueError, "width: must be a number"),
        ({"gravity": "a,w_1"}, ValueError, "gravity: must consist of"),
        ({"gravity": "a/b"}, ValueError, "gravity: must consist of"),
        ({"preset": ""}, ValueError, "preset: must consist of"),
        ({"constructor": 1}, TypeError, "constructor: unknown parameter"),
        ({}, ValueError, "give at least one parameter"),
    ],
)
def test_a_wrong_parameter_is_an_error(wrong: dict[str, object], kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=f"^{says}".replace("?", "\\?")):
        url("a.jpg", **wrong)  # type: ignore[arg-type]


def test_other_errors_name_the_cure() -> None:
    for key in ("", "/a.jpg", "a//b.jpg", "../a.jpg", "a/.b.jpg", "a\\b", "a\nb", "a/"):
        with pytest.raises(ValueError, match="key: must be the name of an original"):
            url(key, width=1)
    for name in ("", "a/b", "a\nb"):
        with pytest.raises(ValueError, match="file_name: must be a file name"):
            url("a.jpg", width=1, file_name=name)
    for value in (float("nan"), float("inf"), b"1"):
        with pytest.raises(ValueError, match="width: must be a number"):
            url("a.jpg", width=value)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="width: must consist of"):
        url("a.jpg", width="*")
    with pytest.raises(ValueError, match="width: takes one value"):
        url("a.jpg", width=[1, 2])
    with pytest.raises(ValueError, match="base: must be an address without a query"):
        url("a.jpg", width=1, base="https://h/p?a=1")
    with pytest.raises(ValueError, match="widths: must have at least one"):
        picture("a.jpg", alt="", widths=())
    with pytest.raises(ValueError, match="secret: must have 32 bytes"):
        Signer("short")
    with pytest.raises(ValueError, match="lifetime_s: must be at least one second"):
        Signer(SECRET, lifetime_s=0)


def test_a_condition_is_steps_of_its_own() -> None:
    made = url("a.jpg", {"condition": "w_gt_1000"}, {"width": 1000}, {"condition": "end"}, format="auto")
    assert made == "/if_w_gt_1000~w_1000~if_end~f_auto/a.jpg"
    assert parse_tokens(made.split("/")[1], {}).components


def test_a_srcset_keeps_the_shape() -> None:
    assert (
        srcset("a.jpg", widths=(320, 640), format="auto")
        == "/w_320,f_auto/a.jpg 320w, /w_640,f_auto/a.jpg 640w"
    )
    sized = srcset("a.jpg", widths=(200, 300), width=400, height=300, fit="fill")
    assert sized == "/w_200,h_150,c_fill/a.jpg 200w, /w_300,h_225,c_fill/a.jpg 300w"


@pytest.mark.parametrize(("width", "height"), [("400", "300"), (400.0, 300.0)])
def test_sides_may_be_texts_as_in_templates(width: str | float, height: str | float) -> None:
    assert srcset("a.jpg", widths=(200,), width=width, height=height) == "/w_200,h_150/a.jpg 200w"


@pytest.mark.parametrize("width", [0, -1, "none", float("inf")])
def test_a_width_that_is_none_has_no_shape(width: str | float) -> None:
    assert srcset("a.jpg", widths=(200,), width=width, height=300) == "/w_200,h_300/a.jpg 200w"


class Tags(HTMLParser):
    """The attributes of the tags that were fed."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def tag_of(text: str) -> dict[str, str | None]:
    tags = Tags()
    tags.feed(text)
    [(name, attributes)] = tags.found
    assert name == "img"
    return attributes


def test_a_picture_is_an_img_with_escaped_attributes() -> None:
    text = picture(
        "a.jpg", alt='"<b>&', sizes="50vw", width=400, height=300, attributes={"class": "card", "tabindex": 1}
    )
    found = tag_of(text)
    assert found["alt"] == '"<b>&'
    assert found["src"] == "/w_400,h_300,f_auto/a.jpg"
    assert (found["width"], found["height"], found["sizes"], found["loading"]) == (
        "400",
        "300",
        "50vw",
        "lazy",
    )
    assert (found["class"], found["tabindex"]) == ("card", "1")
    assert str(found["srcset"]).count("w, ") == 4
    assert tag_of(picture("a.jpg", alt="", preset="card"))["src"] == "/t_card,w_960,f_auto/a.jpg"


@pytest.mark.parametrize("alt", ['A " onerror=alert(1) x="', "Q&A <b>", "'"])
def test_text_that_is_escaped_already_is_escaped_once(alt: str) -> None:
    for text in (alt, Markup.escape(alt), conditional_escape(alt)):
        attributes = tag_of(picture("a.jpg", alt=text))
        assert attributes["alt"] == alt
        assert "onerror" not in attributes
    # A template marks text as safe that is not escaped.
    assert "onerror" not in tag_of(picture("a.jpg", alt=Markup(alt)))


def test_jinja_has_the_functions() -> None:
    environment = jinja2.Environment(autoescape=True)
    add_to(environment, base="https://i.example", signer=Signer(SECRET))
    template = '{{ calotype_picture("a.jpg", alt="&", width=90) }}|{{ calotype_url("a.jpg", width=90) }}|{{ calotype_srcset("a.jpg", widths=[90]) }}'
    tag, address, candidates = environment.from_string(template).render().split("|")
    assert tag_of(tag)["alt"] == "&"
    assert str(tag_of(tag)["src"]).startswith("https://i.example/w_90,f_auto/a.jpg?sig=")
    assert address.startswith("https://i.example/w_90/a.jpg?sig=")
    assert candidates == f"{address} 90w"


def test_django_has_the_tags() -> None:
    if not django_settings.configured:
        django_settings.configure()
        django.setup()
    engine = Engine(libraries={"calotype": "calotype_urls.templatetags.calotype"})
    template = '{% load calotype %}{% calotype_picture "a.jpg" alt="&" width=90 %}|{% calotype_url "a.jpg" width=90 %}|{% calotype_srcset "a.jpg" format="auto" %}'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(django_settings, "CALOTYPE_BASE", "https://i.example", raising=False)
        patch.setattr(django_settings, "CALOTYPE_SECRET", SECRET, raising=False)
        tag, address, candidates = engine.from_string(template).render(Context()).split("|")
    assert tag_of(tag)["alt"] == "&"
    assert address.startswith("https://i.example/w_90/a.jpg?sig=")
    assert candidates.count("https://i.example/") == 5


def test_the_package_needs_the_standard_library_only() -> None:
    program = "import sys, json; import calotype_urls; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path.insert(0, {str(CLIENTS / 'python')!r}); {program}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    names = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert names - {"calotype_urls", "__main__"} <= {*sys.stdlib_module_names, *sys.builtin_module_names}
    assert Path(CLIENTS / "python" / "pyproject.toml").exists()
