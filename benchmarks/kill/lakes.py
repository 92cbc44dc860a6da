"""The lakehouses of a crash test, which share a folder and a Spark session, and the progress of a run in one of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pi_datasource.delta import Lakehouse

# What a run leaves on disk, in the order in which it does.
PHASES = {
    "created": "*_{lake}/*/_delta_log/00000000000000000000.json",
    "planned": "_checkpoints_{lake}/*/offsets/*",
    "bronze": "bronze_{lake}/pi_timeseries/_delta_log/*.json",
    "gold": "gold_{lake}/pi_metrics_hourly/_delta_log/*.json",
    "audit": "checkpoints_{lake}/pi_ingestion_checkpoint/_delta_log/*.json",
    "committed": "_checkpoints_{lake}/*/commits/*",
}
TABLES = 5


def lakehouse(folder: str | Path, lake: int) -> Lakehouse:
    """Lakehouse number ``lake``: schemas of its own, because a Spark session knows one of each name."""
    return replace(
        Lakehouse.in_directory(folder),
        checkpoint_root=str(Path(folder).absolute() / f"_checkpoints_{lake}"),
        bronze_schema=f"bronze_{lake}",
        gold_schema=f"gold_{lake}",
        checkpoint_schema=f"checkpoints_{lake}",
    )


class Progress:
    """How far a run has come since this was made."""

    def __init__(self, folder: Path, lake: int) -> None:
        self._folder, self._lake = folder, lake
        self._before = {phase: self._count(phase) for phase in PHASES}

    @property
    def ahead(self) -> list[str]:
        """The phases that the run can still reach; tables are created once."""
        return [
            phase
            for phase in PHASES
            if not self.reached(phase) and (phase != "created" or self._before[phase] < TABLES)
        ]

    def reached(self, phase: str) -> bool:
        """Whether the run has left something of this phase."""
        return self._count(phase) > self._before[phase]

    @property
    def last(self) -> str:
        """The last phase that the run has reached, ``begun`` if none; a run of several micro-batches passes them again."""
        return next((phase for phase in reversed(PHASES) if self.reached(phase)), "begun")

    def _count(self, phase: str) -> int:
        return len(list(self._folder.glob(PHASES[phase].format(lake=self._lake))))
