"""Secrets stay where they are: nothing that a node says, to whom it says it, or hands on holds one."""

import re
import secrets
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

import pytest

from proxy.core.url.signing import sign
from tests.stories.fleet import Node, descendants, get_all, running, s3
from tests.support import pictures, servers
from tests.support.servers import Redis
from tests.support.waiting import LONGEST_S, eventually


@pytest.mark.parametrize("processes", [1, 2])
async def test_nothing_tells_a_secret(processes: int, redis: Redis, tmp_path: Path) -> None:
    kept = {name: secrets.token_hex(20) for name in ("key", "token", "s3", "redis", "session", "url", "user")}
    key = kept["key"]
    with servers.moto(tmp_path) as store:
        bucket = store.bucket("originals")
        store.put(bucket, "a.jpg", pictures.photo_as("jpeg"))
        store.put(bucket, "text.jpg", b"no picture")
        mine = s3(store, bucket) | {"secret_key": kept["s3"]}
        node = Node(
            tmp_path / "node",
            processes=processes,
            sources={"photos": mine},
            mounts={"all": {"source": "photos", "signing": "optional", "dimensions": "any"}},
            admin={"token": kept["token"], "port": servers.free_port()},
            signing={"keys": {"k": key}, "session": "cookie:sid"},
            cache={"bucket": s3(store, store.bucket("processed")) | {"secret_key": kept["s3"]}},
            redis={"url": f"{redis.url}?client_name={kept['redis']}"},
        )
        node.admin_port = int(node.environment["CALOTYPE_ADMIN"].partition('"port": ')[2].rstrip("}"))
        node.ready = lambda: "true" in admin(node, "/readyz", kept["token"])  # type: ignore[method-assign]
        scope = {"until_s": int(time.time()) + 100, "domain": "d.example", "session": kept["session"]}
        signed = [
            sign("/w_50/a.jpg", key.encode(), **scope),  # type: ignore[arg-type]
            sign("/thumbnail?url=a.jpg&w=51", key.encode()),
            sign("/w_50/none.jpg", key.encode()),
            sign("/w_50/text.jpg", key.encode()),
            sign("/w_x/a.jpg", key.encode()),
            sign("/original/a.jpg", key.encode(), until_s=1),
        ]
        presigned = quote(f"{store.endpoint_url}/{bucket}/a.jpg?X-Amz-Signature={kept['url']}", safe="")
        with_user = quote(f"http://me:{kept['user']}@{store.endpoint_url[7:]}/{bucket}/a.jpg", safe="")
        targets = [
            *signed,
            *(raw.replace("w_5", "w_6") for raw in signed),
            f"/thumbnail?url={presigned}&w=52",
            f"/thumbnail?url={with_user}&w=52",
            f"/w_52/{presigned}",
            f"/w_50/a.jpg?token={kept['url']}",
            f"/w_50/a.jpg?s%69g={kept['url']}&ses={kept['session']}",
            f"/w_50/a.jpg?sig[]={kept['url']}",
            f"/w_50/a.jpg?sig%5B0%5D={kept['url']}",
            f"/w_50/a.jpg?sig%={kept['url']}",
            f"/w_50/a.jpg?anything={kept['url']}",
        ]
        with running(node):
            redis.kill()
            answers = await get_all(
                [node.url + target for target in targets],
                Cookie=f"sid={kept['session']}",
                Referer="https://d.example/",
                Authorization=f"Bearer {kept['token']}",
            )
            assert {answer.status for answer in answers} >= {200, 400, 403, 404, 415}
            told = [answer.body.decode("latin-1") for answer in answers]
            told.append(admin(node, "/metrics", kept["token"]))
            told += [
                admin(node, f"/v1/explain?url={quote(target, safe='')}", kept["token"]) for target in targets
            ]
            assert node.process is not None
            for pid in (node.process.pid, *descendants(node.process.pid)):
                limits = Path(f"/proc/{pid}/limits").read_text()
                assert re.search(r"Max core file size +1 +1 ", limits), "no dump of any process holds one"
                if pid in node.workers():
                    told.append(Path(f"/proc/{pid}/environ").read_text())
                told.append(Path(f"/proc/{pid}/cmdline").read_text())
            await eventually(lambda: "w_52" in node.log())
        told.append(node.log())
    assert '"target":"/w_50/a.jpg"' in node.log()
    macs = [raw.rpartition("sig=")[2] for raw in signed]
    for text in told:
        for name, secret in kept.items():
            assert secret not in text, name
        for mac in macs:
            assert mac not in text
            assert mac[:12] not in text


def admin(node: Node, target: str, token: str) -> str:
    """The answer's text, whatever its status."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{node.admin_port}{target}", headers={"Authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=LONGEST_S) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as answer:
        return answer.read().decode()
    except OSError:
        return ""
