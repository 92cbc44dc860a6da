"""Releases of PI Web API and their features, in one table."""

from dataclasses import dataclass

FEATURES: dict[str, tuple[str, ...]] = {
    "server time": ("2018", "2021", "2023"),
    "span and zero of points": ("2018", "2021", "2023"),
    "webIdType": ("2018", "2021", "2023"),
    "syncTime": ("2018", "2021", "2023"),
    "annotations of values": ("2018", "2021", "2023"),
    "streamsets/joined": ("2018", "2021", "2023"),
    "stream updates": ("2018", "2021", "2023"),
    "Annotated": ("2021", "2023"),
    "system/metrics": ("2021", "2023"),
    "points/search": ("2023",),  # introduced in 2021 SP3
    "sourceFilter": ("2023",),
    "search/query": ("2017", "2018", "2021"),  # Indexed Search, retired in 2023
}
"""What differs between releases, and the generations that have it."""


@dataclass(frozen=True)
class Generation:
    """One release: its name, and the product version it reports."""

    name: str
    product: str
    product_version: str

    def has(self, feature: str) -> bool:
        """Whether it has a feature of `FEATURES`."""
        return self.name in FEATURES[feature]


GENERATIONS = {
    each.name: each
    for each in (
        Generation("2017", "2017", "1.9.0.266"),
        Generation("2018", "2018 SP1", "1.11.1.5383"),
        Generation("2021", "2021", "1.15.0.0"),
        Generation("2023", "2023", "1.19.0.0"),
    )
}
LATEST = "2023"
