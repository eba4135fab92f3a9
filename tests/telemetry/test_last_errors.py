"""The last errors, which the status page shows."""

from proxy.telemetry.last_errors import MAX_ENTRIES, MAX_OF_A_KIND, LastError, LastErrors


def error(at_s: float, slug: str = "original-not-found", target: str = "/a.jpg") -> LastError:
    return LastError(at_s, 404, slug, "the reason", "all", target)


def test_the_newest_come_first_and_a_target_stands_once() -> None:
    errors = LastErrors()
    for at_s, target in ((1, "/a.jpg"), (2, "/b.jpg"), (3, "/a.jpg")):
        errors.add(error(at_s, target=target))
    assert [(each.at_s, each.target, each.count) for each in errors.top()] == [
        (3, "/a.jpg", 2),
        (2, "/b.jpg", 1),
    ]


def test_a_flood_of_one_kind_hides_no_other() -> None:
    errors = LastErrors()
    errors.add(error(0, "source-unavailable", "/rare.jpg"))
    for number in range(1000):
        errors.add(error(number, target=f"/{number}.jpg"))
    found = errors.top()
    assert len(found) == MAX_OF_A_KIND + 1
    assert found[0].target == "/999.jpg"
    assert found[-1].target == "/rare.jpg"


def test_their_number_has_a_limit() -> None:
    errors = LastErrors()
    for number in range(100):
        errors.add(error(number, slug=f"kind {number}"))
    assert [each.at_s for each in errors.top()] == list(range(99, 99 - MAX_ENTRIES, -1))
