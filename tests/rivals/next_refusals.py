"""Queries that /_next/image refuses with 400 under any settings, and some that it takes; the real one was asked."""

from urllib.parse import quote

LAKE = quote("/lake.jpg", safe="")

REFUSED = (
    "",
    "w=640&q=75",
    f"url={LAKE}&q=75",
    f"url={LAKE}&w=640",
    f"url={LAKE}&url={LAKE}&w=640&q=75",
    f"url={LAKE}&w=640&w=640&q=75",
    f"url={LAKE}&w=640&q=75&q=75",
    f"url={LAKE}&w=0&q=75",
    f"url={LAKE}&w=-640&q=75",
    f"url={LAKE}&w=640px&q=75",
    f"url={LAKE}&w=640.5&q=75",
    f"url={LAKE}&w=&q=75",
    f"url={LAKE}&w=640&q=0",
    f"url={LAKE}&w=640&q=101",
    f"url={LAKE}&w=640&q=best",
    f"url={LAKE}&w=640&q=7.5",
    "url=&w=640&q=75",
    "url=lake.jpg&w=640&q=75",
    f"url={quote('//elsewhere.test/lake.jpg', safe='')}&w=640&q=75",
    f"url={quote('ftp://elsewhere.test/lake.jpg', safe='')}&w=640&q=75",
    f"url={quote('https://elsewhere.test/lake.jpg', safe='')}&w=640&q=75",
    f"url={quote('/_next/image?url=a&w=640&q=75', safe='')}&w=640&q=75",
    f"url={quote('/' + 3100 * 'a', safe='')}&w=640&q=75",
)

TAKEN = (
    f"url={LAKE}&w=640&q=75",
    f"q=75&w=640&url={LAKE}",
    "url=/lake.jpg&w=640&q=75",
    f"url={LAKE}&w=0640&q=075",
    f"url={LAKE}&w=640&q=75&dpl=a1",
)
