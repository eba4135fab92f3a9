"""Settings are reloaded while the node runs: all that may change, at once, or nothing."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from proxy.config.errors import ConfigError
from proxy.config.settings import Settings, load
from proxy.core.cache.delivery import Delivered
from proxy.node.reload import RELOADED, merged
from tests.http.conftest import ORIGINALS, Running, running
from tests.http.test_signed import NEW, OLD, signed_by
from tests.support import pictures
from tests.support.fakes import temporary_file

FLAGS: dict[str, Any] = {
    "mounts": {"all": {"source": "photos", "signing": "optional"}},
    "signing": {"keys": {"old": OLD, "new": NEW}},
}


def changed(node: Running, **sections: Any) -> Settings:
    """As the node has them, but for these."""
    running = node.node.settings.model_dump(exclude_unset=True)
    return load(None, {**running, **FLAGS, **sections})


def reload(node: Running, **sections: Any) -> list[str]:
    settings, waiting = merged(node.node.settings, changed(node, **sections))
    node.node.reload(settings)
    return waiting


@pytest.fixture
async def node(tmp_path: Path) -> Any:
    async with running(tmp_path, **FLAGS) as started:
        temporary_file(started.originals, "photo.jpg", ORIGINALS["photo.jpg"]())
        yield started


async def test_a_url_signed_with_a_removed_key_is_refused(node: Running) -> None:
    by_old, by_new = signed_by(OLD, "/w_51/photo.jpg"), signed_by(NEW, "/w_52/photo.jpg")
    for _ in range(2):
        assert [(await node.get(target)).status for target in (by_old, by_new)] == [200, 200]
    assert reload(node, signing={"keys": {"new": NEW}}) == []
    assert [(await node.get(target)).status for target in (by_old, by_new)] == [403, 200]
    third = "t" * 32
    reload(node, signing={"keys": {"third": third}})
    assert [(await node.get(target)).status for target in (by_old, by_new)] == [403, 403]
    assert (await node.get(signed_by(third, "/w_51/photo.jpg"))).cache == "calotype; hit; detail=memory"


async def test_a_request_from_before_the_reload_is_verified_again_after_it(
    node: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    produce = node.node.halves[0].path.produce  # type: ignore[union-attr]
    produced, begun, goes_on = produce.variant, asyncio.Event(), asyncio.Event()

    async def held(*arguments: Any, **options: Any) -> Delivered:
        begun.set()
        await goes_on.wait()
        return await produced(*arguments, **options)

    monkeypatch.setattr(produce, "variant", held)
    target = signed_by(OLD, "/w_53/photo.jpg")
    pending = asyncio.create_task(node.get(target))
    await begun.wait()
    reload(node, signing={"keys": {"new": NEW}})
    goes_on.set()
    assert (await pending).status == 200
    assert (await node.get(target)).status == 403


async def test_presets_and_sizes_are_reloaded(node: Running) -> None:
    assert (await node.get("/t_fresh/photo.jpg")).status == 400
    assert (await node.get("/w_77/photo.jpg")).status == 400
    reload(node, presets={"fresh": "w_64,f_png"}, dimensions={"allowed": [77]})
    assert pictures.size((await node.get("/t_fresh/photo.jpg")).body)[0] == 64
    assert (await node.get("/w_77/photo.jpg")).status == 200
    reload(node, presets={"fresh": "w_48,f_png"}, dimensions={"allowed": [77]})
    assert pictures.size((await node.get("/t_fresh/photo.jpg")).body)[0] == 48


async def test_limits_are_reloaded(node: Running) -> None:
    wide = signed_by(NEW, "/w_200/photo.jpg")
    assert pictures.size((await node.get(wide)).body)[0] == 200
    reload(node, limits={"output_max_side": 150})
    assert pictures.size((await node.get(wide)).body)[0] == 150
    reload(node, limits={"output_max_side": 180, "url_max_bytes": 60})
    assert (await node.get(wide)).status == 414
    reload(node, limits={"original_max_side": 100})
    assert (await node.get(signed_by(NEW, "/w_66/photo.jpg"))).status == 422
    reload(node, limits={"original_max_bytes": 100})
    assert (await node.get(signed_by(NEW, "/w_67/photo.jpg"))).status == 422
    reload(node, limits={"original_max_side": 9999})
    assert (await node.get(signed_by(NEW, "/w_68/photo.jpg"))).status == 200


async def test_a_reload_changes_what_info_includes(node: Running) -> None:
    temporary_file(node.originals, "exif.jpg", pictures.with_exif(1))
    target = signed_by(NEW, "/info/exif.jpg")
    assert b"GPS" not in (await node.get(target)).body
    reload(node, limits={"info_gps": True})
    assert b"GPS" in (await node.get(target)).body
    reload(node, limits={"info_gps": False})
    assert b"GPS" not in (await node.get(target)).body


async def test_a_reload_changes_the_size_of_uploads(node: Running) -> None:
    async def upload(name: str) -> int:
        url = f"{node.node.admin_url}/v1/originals?name={name}"
        async with node.client.post(url, data=pictures.quarters_as("png")) as answer:
            return answer.status

    assert await upload("a.png") == 201
    reload(node, limits={"original_max_bytes": 100})
    assert await upload("b.png") == 422


async def test_settings_that_need_a_restart_are_named_and_not_applied(node: Running) -> None:
    before = node.node.settings
    waiting = reload(node, render={"workers": 2}, server={"port": 0, "drain": "3s"}, presets={"x": "w_16"})
    assert waiting == ["server", "render"]
    assert node.node.settings.render == before.render
    assert node.node.settings.presets == {"x": "w_16"}


@pytest.mark.parametrize(
    ("sections", "named"),
    [
        (
            {"mounts": {"all": {"source": "others"}}, "sources": {"others": {"path": "/"}}},
            "^sources: ",
        ),
        (
            {"mounts": {"all": {"source": "photos", "signing": "required"}}, "signing": {}},
            "mounts.all.signing",
        ),
        ({"mounts": {}}, "^mounts: was removed"),
        ({"presets": {"x": "w_huge"}}, "presets.x"),
        ({"mounts": {"all": {"source": "photos", "prefix": "no"}}}, "mounts.all.prefix"),
    ],
)
async def test_invalid_settings_change_nothing(node: Running, sections: Any, named: str) -> None:
    before = node.node.settings
    with pytest.raises(ConfigError, match=named):
        reload(
            node,
            presets=sections.get("presets", {"card": "w_200"}),
            **{k: v for k, v in sections.items() if k != "presets"},
        )
    assert node.node.settings is before
    assert (await node.get(signed_by(OLD, "/w_51/photo.jpg"))).status == 200


def test_reloaded_sections_exist_in_the_settings() -> None:
    assert set(RELOADED) < set(Settings.model_fields)
