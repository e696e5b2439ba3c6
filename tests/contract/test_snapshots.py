"""Tagged snapshots: the contract of Snapshots, on SQLite and on the twin in memory."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import state_folders
from state_folders import BEGAN_AT, Drive, StateFolder

from orchestrator.domain.errors import BadInput
from orchestrator.domain.facts import MadeFrom
from orchestrator.domain.plan import Unit
from orchestrator.domain.service import ServiceStatus, StartType, State
from orchestrator.engine.book_ports import Snapshot

drive = state_folders.drive

SEEN = ServiceStatus(
    name="Orders", state=State.RUNNING, start_type=StartType.AUTOMATIC, display_name="Best\ud800el'lungen", pid=4711
)
UNITS = (
    Unit(id="orders@app-01", service="orders", host="app-01", scm_name="Orders", instance="orders@app-01", seen=SEEN),
    Unit(id="mail", service="mail", host=None, scm_name=None, instance="mail"),
)
TAKEN = Snapshot(
    tag="before-patch",
    at=BEGAN_AT,
    by="ada",
    name="shop",
    made_from=MadeFrom(playbook="/srv/shop.yaml", inventories=("/srv/hosts",), vault_ids=("ops@/srv/pass",)),
    units=UNITS,
)


def test_a_snapshot_comes_back_as_it_was_taken_and_is_never_overwritten(drive: Drive) -> None:
    async def body(folder: StateFolder) -> None:
        assert await folder.store.load("before-patch") is None
        assert list(await folder.store.all()) == []
        await folder.store.save(TAKEN)
        later = replace(TAKEN, tag="Patch_2.1", at=BEGAN_AT + 60, units=())
        await folder.store.save(later)
        assert await folder.another().load("before-patch") == TAKEN
        assert list(await folder.another().all()) == [later, TAKEN]
        with pytest.raises(
            BadInput, match=r"a snapshot before-patch already, taken at 20.*[+-]\d\d:\d\d by ada"
        ) as caught:
            await folder.another().save(replace(TAKEN, by="bob", units=()))
        assert "--tag" in caught.value.hint
        assert await folder.store.load("before-patch") == TAKEN

    drive(body)


@pytest.mark.parametrize("tag", ["", ".", "../x", "a/b", "-x", "a b", "é", "last", "a" * 65, "x\n", "';--"])
def test_a_tag_is_plain_text(drive: Drive, tag: str) -> None:
    async def body(folder: StateFolder) -> None:
        attempts: list[Callable[[], object]] = [
            lambda: folder.store.save(replace(TAKEN, tag=tag)),
            lambda: folder.store.load(tag),
        ]
        for attempt in attempts:
            with pytest.raises(BadInput, match="can't be a snapshot's tag"):
                await attempt()  # type: ignore[misc] # one returns nothing, one a snapshot

    drive(body)
