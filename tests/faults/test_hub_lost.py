"""The hub itself goes back: an old backup of it is put in its place. It is told of, and `resync` brings back what it
lacks.

What it does not mend, the operating guide says, and is left out here: what was deleted at a source in the lost time
stays live in the canonical topics, where versions of that time come again.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest

from streams.monitor.hub_guard import check_hub_is_complete
from streams.stack.native import NativeStack
from tests.faults.field import Field
from tests.waiting import came_true

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def field(own_stack: NativeStack) -> Iterator[Field]:
    with Field(own_stack) as found:
        found.work("w0")
        assert came_true(found.working, 90)
        found.load(deletes=False)
        assert came_true(lambda: found.commits() > 100, 30)
        yield found


def test_an_old_backup_of_the_hub_is_put_back(field: Field) -> None:
    data = field.settings.state_dir / "data" / "hub"
    backup = data.with_name("hub-backup")
    since = time.monotonic()
    field.stack.kill("hub")
    subprocess.run(["cp", "-a", str(data), str(backup)], check=True)
    field.stack.start("hub")
    field.recovered()
    commits = field.commits()
    assert came_true(lambda: field.commits() > commits + 300, 60)
    time.sleep(5)
    assert check_hub_is_complete(field.settings) == []
    field.stack.kill("hub")
    shutil.rmtree(data)
    backup.rename(data)
    field.stack.start("hub")
    log = field.settings.state_dir / "logs" / "worker-w0.log"
    assert came_true(lambda: "hub-went-back" in log.read_text(), 60), "nobody told of it"
    print(f"\n{check_hub_is_complete(field.settings)[0].what}")
    began = time.monotonic()
    for system in field.systems:
        field.resync(system.name, sweep_after=15.0)
    field.uncaptured(since - 10, time.monotonic())  # intents of that time went with the hub
    findings = field.settle(240)
    print(f"mended {time.monotonic() - began:.0f} s after `resync` began: {findings}")
    assert findings.counts["lost"] == findings.counts["differing"] == findings.counts["echoed"] == 0, str(findings)
    assert check_hub_is_complete(field.settings) == []
