"""Rollouts as an SRE is told of them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.unit.delivery.triggers.world import World, world
from tidegate.auth.stored import put_new
from tidegate.delivery.rollouts import phases
from tidegate.delivery.rollouts.gates import PROGRESSING
from tidegate.kinds.rollout import PHASES, ROLLOUTS, Rollout, RolloutStatus
from tidegate.registry import rollout_metrics


async def make(made: World, phase: str, number: int) -> None:
    new = Rollout(status=RolloutStatus(phase=phase))
    new.metadata.name, new.metadata.namespace = f"r{number}", "shop" if number % 2 else "lab"

    def unit(tx: Any) -> None:
        put_new(tx, ROLLOUTS, new, made.now)

    await made.store.write(unit)


def test_rollouts_of_all_projects_are_counted_by_phase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout_metrics, "_PAGE", 2)

    async def inside() -> list[str]:
        async with world(tmp_path) as made:
            for number, phase in enumerate(["Held", "Complete", "Held", "", "Progressing"]):
                await make(made, phase, number)
            return await rollout_metrics.lines(made.database)

    told = asyncio.run(inside())
    assert 'tidegate_rollouts{phase="Held"} 2' in told
    assert 'tidegate_rollouts{phase="Complete"} 1' in told
    assert 'tidegate_rollouts{phase="Progressing"} 1' in told
    assert 'tidegate_rollouts{phase="RolledBack"} 0' in told
    assert len(told) == 2 + len(PHASES)


def test_every_phase_that_a_rollout_can_be_in_is_told() -> None:
    assert {*PHASES} == {
        PROGRESSING,
        phases.IDLE,
        phases.SUSPENDED,
        phases.ROLLING_BACK,
        phases.COMPLETE,
        phases.ROLLED_BACK,
        phases.HELD,
    }
