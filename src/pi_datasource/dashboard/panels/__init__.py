"""The panels of the dashboard, by their name in ``/ingestion/api/NAME``; a new one is an entry of a ``PANELS``."""

from collections.abc import Mapping

from pi_datasource.dashboard.panels import counts, pipeline, tag
from pi_datasource.dashboard.panels.panel import Panel, evaluate

__all__ = ["PANELS", "Panel", "evaluate"]

PANELS: Mapping[str, Panel] = {panel.name: panel for panel in (*counts.PANELS, *pipeline.PANELS, *tag.PANELS)}
