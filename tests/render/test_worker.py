"""Several renders of one original share decoded pixels and have unchanged results."""

import asyncio
import os
import pickle
import socket
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest
import pyvips

from proxy.core.errors import Undecodable
from proxy.core.image.formats import Format
from proxy.core.transform.plan import Plan
from proxy.ports.rendering import Schedule
from proxy.render import loading, pipeline
from proxy.render import worker as worker_module
from proxy.render.checked_original import CheckedOriginal
from proxy.render.pipeline import render
from proxy.render.pool import Pool, _Waiting
from proxy.render.protocol import JOB_HEAD, Answer, Job
from tests.render.conftest import LIMITS, draw, opened, plan_for
from tests.support import pictures
from tests.support.waiting import eventually


def turned(width: int, height: int) -> bytes:
    """A JPEG whose EXIF says that it lies on its side."""
    image = pictures.photo(width, height).copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", 6)
    return bytes(image.jpegsave_buffer())


KINDS: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: pictures.photo_as("jpeg", 1283, 961),
    "turned": lambda: turned(1001, 667),
    "grey": lambda: pictures.encoded(pictures.photo(800, 600).colourspace("b-w"), "jpeg"),
    "cmyk": lambda: pictures.encoded(pictures.photo(500, 400).colourspace("cmyk"), "jpeg"),
    "png": lambda: pictures.photo_as("png", 801, 1203),
    "alpha": lambda: pictures.cut_out_as("png"),
    "deep": lambda: pictures.encoded(pictures.photo(300, 200).colourspace("rgb16"), "png"),
    "webp": lambda: pictures.photo_as("webp", 640, 480),
    "avif": lambda: pictures.photo_as("avif", 640, 480),
    "film": lambda: pictures.film_as("gif"),
}
TOKENS = [
    "w_400,f_png", "w_400,f_webp", "w_399,h_55,c_fill,f_png", "w_399,h_55,c_scale,f_png", "w_60,f_png", "w_61,f_jpg",
    "f_png", "w_200,a_90,f_png", "w_200,f_png,e_blur:3", "w_200,f_gif", "w_13,f_png", "w_4,h_3000,c_scale,f_png", "w_200,f_avif",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_shared_pixels_give_the_same_bytes(kind: str) -> None:
    content = KINDS[kind]()
    shared = CheckedOriginal.of(content, LIMITS)
    for number, tokens in enumerate(TOKENS):
        shared.keep_decoded = number < len(TOKENS) - 1
        assert render(shared, plan_for(tokens, content), LIMITS) == draw(content, tokens), tokens


def test_a_photograph_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    real = loading._decoded

    def counted(original: loading.LoadInput) -> pyvips.Image:
        decoded.append(original.kind)
        return real(original)

    monkeypatch.setattr(loading, "_decoded", counted)
    content = KINDS["jpeg"]()
    shared = CheckedOriginal.of(content, LIMITS)
    for tokens, keeps in (
        ("w_500,f_webp", True),
        ("w_500,f_jpg", True),
        ("w_400,f_jpg", True),
        ("w_330,f_jpg", False),
    ):
        shared.keep_decoded = keeps
        render(shared, plan_for(tokens, content), LIMITS)
    assert decoded == [Format.JPEG]
    alone = CheckedOriginal.of(content, LIMITS)
    render(alone, plan_for("w_500,f_webp", content), LIMITS)
    assert decoded == [Format.JPEG], "and row by row where there is nothing to share"


def test_large_decoded_pixels_are_not_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "MAX_CACHED_BYTES", 1000)
    content = KINDS["png"]()
    shared = CheckedOriginal.of(content, LIMITS)
    shared.keep_decoded = True
    render(shared, plan_for("w_300,f_webp", content), LIMITS)
    assert not shared._cache


def test_a_damaged_original_is_refused_each_time() -> None:
    content = KINDS["png"]()
    damaged = content[:9000] + bytes(3000) + content[12_000:]
    shared = CheckedOriginal.of(damaged, LIMITS)
    for _ in range(2):
        shared.keep_decoded = True
        with pytest.raises(Undecodable):
            render(shared, plan_for("w_300,f_webp", content), LIMITS)


def test_damage_outside_a_crop_does_not_refuse_it() -> None:
    """Alone the picture is read as far as it is shown; that others wait changes nothing."""
    content = bytearray(KINDS["png"]())
    content[int(0.9 * len(content))] ^= 0xFF
    damaged, tokens = bytes(content), "w_300,h_60,c_fill,g_north,f_png"
    alone = draw(damaged, tokens)
    shared = CheckedOriginal.of(damaged, LIMITS)
    shared.keep_decoded = True
    assert render(shared, plan_for(tokens, damaged), LIMITS) == alone


def test_a_second_attempt_frees_the_memory_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    class Held:
        """What a frame of the first try has."""

    content = KINDS["jpeg"]()
    shared = CheckedOriginal.of(content, LIMITS)
    shared.keep_decoded = True
    tries: list[weakref.ref[Held]] = []
    real = pipeline._run

    def drawn(original: loading.LoadInput, plan: Plan, further: Sequence[loading.LoadInput]) -> bytes:
        held = Held()
        tries.append(weakref.ref(held))
        if len(tries) == 1:
            real(original, plan, further)
            raise MemoryError
        assert tries[0]() is None
        assert not original.opened._cache
        return real(original, plan, further)

    monkeypatch.setattr(pipeline, "_run", drawn)
    assert render(shared, plan_for("w_300,f_webp", content), LIMITS) == draw(content, "w_300,f_webp")
    assert len(tries) == 3, "and one alone"


def test_without_memory_for_the_cache_the_render_is_repeated_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = KINDS["jpeg"]()
    shared = CheckedOriginal.of(content, LIMITS)
    shared.keep_decoded = True
    monkeypatch.setattr(loading, "_decoded", lambda *_: (_ for _ in ()).throw(MemoryError))
    assert render(shared, plan_for("w_300,f_webp", content), LIMITS) == draw(content, "w_300,f_webp")


async def test_concurrent_jobs_of_several_originals_get_their_own_variants(
    make_pool: Callable[..., Pool],
) -> None:
    """And none gets what is another's."""
    pool = make_pool(workers=2, queue=100)
    await pool.start()
    contents = [pictures.photo_as("jpeg", 600, 400, seed=seed) for seed in range(4)]
    originals = [opened(content) for content in contents]
    transforms = [f"w_{width},f_{kind}" for width in (50, 120, 300) for kind in ("webp", "jpg", "png")]
    later = asyncio.get_running_loop().time() + 30

    async def one(number: int, tokens: str) -> None:
        plan = plan_for(tokens, contents[number])
        variant = await pool.render([originals[number]], plan, Schedule(deadline=later))
        assert variant.body == draw(contents[number], tokens)

    await asyncio.gather(*(one(number, tokens) for tokens in transforms for number in range(4)))
    for original in originals:
        original.file.close()


def test_a_probe_preserves_the_cached_original() -> None:
    content, other = KINDS["jpeg"](), KINDS["png"]()
    last_original = worker_module._LastOriginal()

    def work(name: str, of: bytes, tokens: str | None, *, keep: bool) -> tuple[Answer, bytes]:
        descriptor = os.memfd_create("original")
        os.write(descriptor, of)
        plan = plan_for(tokens, of) if tokens else None
        return worker_module._run_job(
            last_original, Job(1, ((name, len(of)),), keep, plan, LIMITS, 5.0), [descriptor]
        )

    assert work("a", content, "w_300,f_png", keep=True)[1] == draw(content, "w_300,f_png")
    on_it = last_original._opened
    assert on_it is not None
    facts = work("b", other, None, keep=False)[0].facts
    assert facts is not None
    assert (facts.width_px, last_original._opened) == (801, on_it)
    assert work("a", b"is not read again", "w_200,f_png", keep=True)[1] == draw(content, "w_200,f_png")
    assert last_original._opened is on_it
    assert work("b", other, "w_200,f_png", keep=False)[1] == draw(other, "w_200,f_png")
    assert last_original._opened is None
    assert work("c", b"no picture", "w_200,f_png", keep=True)[0].slug == "unsupported-format"
    assert work("a", content, "w_200,f_png", keep=True)[1] == draw(content, "w_200,f_png")


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_an_idle_worker_frees_its_decoded_pixels(make_pool: Callable[..., Pool]) -> None:
    """It was told that there would be more, and another worker has done that."""
    pool = make_pool()
    await pool.start()
    [worker] = pool._alive
    content = pictures.photo_as("jpeg", 4000, 4000)
    original = opened(content)
    job = _Waiting(
        rank=1,
        originals=[original],
        plan=plan_for("w_2000,f_jpg", content),
        schedule=Schedule(deadline=0.0),
        answer=asyncio.get_running_loop().create_future(),
    )
    much = resident_bytes(worker.process.pid) + 40 * 2**20
    assert (await worker.run_job(job, LIMITS, 10.0, keep_decoded=True))[0].slug == ""
    original.file.close()
    assert resident_bytes(worker.process.pid) > much
    await eventually(lambda: resident_bytes(worker.process.pid) <= much)


def files_of(contents: Sequence[bytes]) -> list[int]:
    """A descriptor of each."""
    descriptors = [os.memfd_create("original") for _ in contents]
    for descriptor, content in zip(descriptors, contents, strict=True):
        os.write(descriptor, content)
    return descriptors


def job_of(contents: Sequence[bytes], *, keep: bool = False) -> Job:
    sizes = tuple((f"{number}", len(content)) for number, content in enumerate(contents))
    return Job(1, sizes, keep, plan_for("w_90,f_png", contents[0]), LIMITS, 5.0)


def test_a_job_of_two_originals_opens_both_and_keeps_the_first() -> None:
    contents, last_original = [KINDS["jpeg"](), KINDS["png"]()], worker_module._LastOriginal()
    for _ in range(2):
        descriptors = files_of(contents)
        opened = last_original.open(job_of(contents), descriptors)
        assert [each.content for each in opened] == contents
        assert last_original._opened is opened[0]
        worker_module._run_job(last_original, job_of(contents, keep=True), descriptors)
        for descriptor in descriptors:
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(descriptor)
    assert last_original.open(job_of(contents), files_of(contents))[0] is opened[0]


def test_an_answer_says_which_original_is_at_fault() -> None:
    good, last_original = KINDS["jpeg"](), worker_module._LastOriginal()
    for bad in (b"no picture", good[:-500]):
        job = job_of([good, bad])
        answer, _ = worker_module._run_job(last_original, job, files_of([good, bad]))
        assert (bool(answer.slug), answer.original) == (True, 1)
    job = msgspec.structs.replace(job, originals=(("0", len(bad)), ("1", len(good))))
    assert worker_module._run_job(last_original, job, files_of([bad, good]))[0].original == 0
    assert worker_module._run_job(last_original, job_of([good, good]), files_of([good]))[0].slug == "internal"


def test_a_job_arrives_with_the_descriptors_of_all_originals() -> None:
    contents = [KINDS["jpeg"](), KINDS["png"](), KINDS["jpeg"]()]
    job, sent = job_of(contents), files_of(contents)
    text = pickle.dumps(job)
    pool_end, worker_end = socket.socketpair()
    with pool_end, worker_end:
        socket.send_fds(pool_end, [JOB_HEAD.pack(len(text)) + text], sent)
        received = worker_module._receive(worker_end)
    assert received is not None
    assert received[0] == job
    assert [os.pread(descriptor, 2**24, 0) for descriptor in received[1]] == contents
    for descriptor in (*sent, *received[1]):
        os.close(descriptor)


def test_a_job_whose_file_was_replaced_is_done_with_the_file() -> None:
    old, new = (pictures.photo_as("jpeg", *side) for side in ((1600, 1200), (1200, 1600)))
    opened_old = CheckedOriginal.of(old, LIMITS)
    render(opened_old, plan_for("w_200,f_png", old), LIMITS)
    made = opened_old.new_reduction()
    assert made is not None
    text, pixels = msgspec.json.encode(made[0]), bytes(made[1])
    job = Job(
        1,
        (("0", len(new)),),
        False,
        plan_for("w_900,f_png", new),
        LIMITS,
        5.0,
        ((text, len(pixels)), (b"{", 3)),
    )
    answer, body = worker_module._run_job(worker_module._LastOriginal(), job, files_of([new, pixels, b"{}"]))
    assert (answer.slug, body) == ("", draw(new, "w_900,f_png"))
