"""Every panel of the dashboard, by its name in ``/ingestion/api/NAME``."""

from collections.abc import Mapping

from pi_datasource.dashboard.panels import counts, pipeline, tag
from pi_datasource.dashboard.panels.panel import Panel, answer

__all__ = ["PANELS", "Panel", "answer"]

PANELS: Mapping[str, Panel] = {panel.name: panel for panel in (*counts.PANELS, *pipeline.PANELS, *tag.PANELS)}
