"""The JavaScript client, in a browser: the URLs that the node writes, and the same ones as the Python client."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from calotype_urls import Signer, picture, srcset
from hypothesis import given, settings
from playwright.async_api import Page

from proxy.core.url.signing import verify
from tests.clients.cases import CLIENTS, TOKENS, Case, cases
from tests.support.browser import page_with

SECRET = "0123456789abcdef0123456789abcdef"
CASES = 200


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def named(parameters: dict[str, Any]) -> dict[str, Any]:
    return {camel(name): value for name, value in parameters.items()}


@pytest.fixture
async def page(chromium: str) -> AsyncIterator[Page]:
    """A page of a server that has the module's files."""
    async with page_with(chromium, {"/client": CLIENTS / "javascript"}) as opened:
        yield opened


def generated() -> list[Case]:
    found: list[Case] = []

    @settings(max_examples=CASES, database=None)
    @given(cases)
    def collect(case: Case) -> None:
        found.append(case)

    collect()
    return found


async def test_urls_are_those_of_the_node_and_signatures_valid(page: Page) -> None:
    made = generated()
    answers = await page.evaluate(
        """async ([cases, secret]) => {
            const { url } = await import("/client/index.js");
            const { sign, signedUrl } = await import("/client/signing.js");
            const found = [];
            for (const [key, steps, parameters] of cases) {
                const options = { base: "https://x.example/shop", steps };
                found.push([
                    url(key, parameters, { steps }),
                    await signedUrl(key, parameters, options, { secret, keyId: "k1", lifetimeS: 60, now: () => 1000.5 }),
                    await sign(url(key, parameters, { steps }), { secret }),
                ]);
            }
            return found;
        }""",
        [[[case.key, list(map(named, case.steps[:-1])), named(case.steps[-1])] for case in made], SECRET],
    )
    signer = Signer(SECRET)
    for case, (plain, signed, own) in zip(made, answers, strict=True):
        assert plain == case.url
        found = verify(signed.removeprefix("https://x.example"), {"k1": SECRET.encode()})
        assert found is not None
        assert (found.target, found.restrictions.until_s) == (f"/shop{case.url}", 1060)
        assert own == signer.sign(case.url)


async def test_sets_and_tags_are_those_of_the_python_client(page: Page) -> None:
    for parameters, more in (
        ({"width": 400, "height": 300, "fit": "fill"}, {"alt": "a \"b\" <c> & 'd'", "sizes": "50vw"}),
        ({"preset": "card"}, {"alt": "", "attributes": {"class": "hero"}}),
        ({"width": 333, "dpr": 1.5, "effect": ["blur:2", "sepia"]}, {"alt": "x", "widths": [90, 333]}),
    ):
        script = """async ([parameters, more]) => {
            const { picture, srcset } = await import("/client/index.js");
            return [picture("a b.jpg", parameters, more), srcset("a b.jpg", parameters, more)];
        }"""
        tag, candidates = await page.evaluate(script, [named(parameters), more])
        assert tag == picture("a b.jpg", **parameters, **more)  # type: ignore[arg-type]
        of_set = {"widths": more["widths"]} if "widths" in more else {}
        assert candidates == srcset("a b.jpg", **parameters, **of_set)  # type: ignore[arg-type]


async def test_the_loader_of_next_has_a_width_and_a_quality(page: Page) -> None:
    urls = await page.evaluate("""async () => {
        const { loader } = await import("/client/next-loader.js");
        const plain = loader({ base: "https://i.example" });
        const square = loader({ parameters: { ratio: 1, fit: "fill", quality: 50 } });
        return [plain({ src: "/a.jpg", width: 640 }), plain({ src: "/a.jpg", width: 64, quality: 75 }), square({ src: "b.jpg", width: 90 }), square({ src: "b.jpg", width: 90, quality: 90 })];
    }""")
    assert urls == [
        "https://i.example/w_640,c_limit,f_auto,q_auto/a.jpg",
        "https://i.example/w_64,c_limit,f_auto,q_75/a.jpg",
        "/w_90,c_fill,ar_1,f_auto,q_50/b.jpg",
        "/w_90,c_fill,ar_1,f_auto,q_90/b.jpg",
    ]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ('url("a.jpg", { widht: 3 })', "TypeError: widht: unknown parameter"),
        ('url("a.jpg", { width: true })', "RangeError: width: must be a number or a text"),
        ('url("a.jpg", { gravity: "a,w_1" })', "RangeError: gravity: must consist of"),
        ('url("a.jpg", {})', "RangeError: give at least one parameter"),
        ('url("", { width: 1 })', "RangeError: key: must be the name of an original"),
        ('url("../a.jpg", { width: 1 })', "RangeError: key: must be the name of an original"),
        ('url("a.jpg", { constructor: 1, width: 3 })', "TypeError: constructor: unknown parameter"),
        ('url("a.jpg", { width: NaN })', "RangeError: width: must be a number or a text"),
        ('url("a.jpg", { width: "*" })', "RangeError: width: must consist of"),
        ('url("a.jpg", { fileName: "a/b" })', "RangeError: fileName: must be a file name"),
        ('url("a.jpg", { width: [1, 2] })', "RangeError: width: takes one value"),
        (
            'url("a.jpg", { width: 1 }, { base: "https://h/?a" })',
            "RangeError: base: must be an address without a query",
        ),
        ('picture("a.jpg", {}, {})', "TypeError: alt: must be given"),
        ('sign("/a", { secret: "short" })', "RangeError: secret: must have 32 bytes"),
    ],
)
async def test_a_wrong_call_is_an_error(page: Page, call: str, says: str) -> None:
    error = await page.evaluate(f"""async () => {{
        const {{ picture, url }} = await import("/client/index.js");
        const {{ sign }} = await import("/client/signing.js");
        try {{ return await {call}; }} catch (error) {{ return String(error); }}
    }}""")
    assert error.startswith(says)


def test_the_package_exports_its_files_and_no_signing_for_browsers() -> None:
    package = json.loads((CLIENTS / "javascript" / "package.json").read_text())
    for files in package["exports"].values():
        assert (CLIENTS / "javascript" / files["default"]).exists()
        assert (CLIENTS / "javascript" / files["types"]).exists()
    assert package["exports"]["./signing"]["browser"] is None
    assert "dependencies" not in package
    assert len(TOKENS) == len(set(TOKENS.values()))
