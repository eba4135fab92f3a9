"""The first worker starts while the node is loading."""

import subprocess
import sys

from proxy.config.settings import Settings
from proxy.node.first_worker import worker_limits
from proxy.render.spawn import WorkerLimits


def test_the_limits_of_a_worker_follow_from_the_settings() -> None:
    settings = Settings.model_validate(
        {
            "render": {
                "memory": "300MB",
                "timeout": "4s",
                "recycle_after": 100,
                "sandbox": "off",
                "fonts": ["/fonts"],
            }
        }
    )
    assert worker_limits(settings) == WorkerLimits(
        memory_bytes=3 * 10**8, cpu_s=500, sandboxed=False, font_folders=("/fonts",)
    )


def test_what_a_worker_does_not_need_is_loaded_after_its_start() -> None:
    code = (
        "import sys; import proxy.cli.serve; print(*{'aiohttp', 'structlog', 'pyvips'} & sys.modules.keys())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not run.stdout.strip()
