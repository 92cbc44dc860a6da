"""The design of the Asset Framework as data: what a template holds, and the templates of elements."""

from dataclasses import dataclass
from typing import Any

PI_POINT = "PI Point"
FORMULA = "Formula"


@dataclass(frozen=True)
class AttributeSpec:
    """One attribute of a template.

    Where its value comes from: `sensor`, the point of that kind at the element (its type, units and limits
    follow); `source`, an attribute of a frame's primary element; `formula`, factor and offset applied to the
    parent; `share`, a fraction of the parent's range; else one of `choices`, drawn for each element.
    """

    name: str
    description: str
    type: str = "Double"
    units: str = ""
    category: str = "Process"
    sensor: str = ""
    rank: int = 0
    source: str = ""
    formula: tuple[float, float] | None = None
    share: float | None = None
    choices: tuple[Any, ...] = ()
    enumeration: str = ""
    trait: str = ""
    hidden: bool = False
    excluded: bool = False
    configuration: bool = False
    children: tuple["AttributeSpec", ...] = ()


@dataclass(frozen=True)
class TemplateSpec:
    """A template of elements, or of event frames when `instance_type` says so; `prefix` starts their names."""

    name: str
    description: str
    base: str = ""
    prefix: str = ""
    category: str = ""
    attributes: tuple[AttributeSpec, ...] = ()
    instance_type: str = "Element"
    naming_pattern: str = ""
    severity: str = "None"
    can_be_acknowledged: bool = False


@dataclass(frozen=True)
class AnalysisSpec:
    """An analysis that every element of a template has."""

    name: str
    description: str
    template: str
    plugin: str
    category: str
    config: str
    variables: str = ""
    time_rule: str = "Periodic"
    schedule: str = "Frequency=600"


def _measured(name: str, sensor: str, rank: int = 0, *children: AttributeSpec) -> AttributeSpec:
    return AttributeSpec(name, f"{name} as measured", sensor=sensor, rank=rank, children=children)


def _state(name: str, sensor: str) -> AttributeSpec:
    return AttributeSpec(name, f"{name} as reported", category="State", sensor=sensor)


def _limit(name: str, trait: str, share: float) -> AttributeSpec:
    return AttributeSpec(
        name, f"{name} for alarms", category="Limits", share=share, trait=trait, configuration=True
    )


_LIMITS = (_limit("High Limit", "LimitHi", 0.9), _limit("Low Limit", "LimitLo", 0.1))
_FAHRENHEIT = AttributeSpec("Fahrenheit", "The same in Fahrenheit", units="°F", formula=(1.8, 32.0))

_NAMEPLATE = (
    AttributeSpec(
        "Manufacturer",
        "Who made it",
        "String",
        category="Nameplate",
        choices=("Alder Works", "Birch & Sons", 'Cedar "Flow"', "Dogwood Systèmes"),
        configuration=True,
    ),
    AttributeSpec(
        "Commissioned",
        "First day of service",
        "DateTime",
        category="Nameplate",
        choices=("2009-03-02T00:00:00Z", "2014-11-17T06:30:00Z", "2018-07-01T00:00:00.5Z"),
    ),
    AttributeSpec(
        "Criticality",
        "What its loss means",
        "EnumerationValue",
        category="Nameplate",
        enumeration="Criticality",
        choices=(0, 1, 1, 2),
    ),
    AttributeSpec(
        "In Service", "Whether it may be run", "Boolean", category="State", choices=(True, True, False)
    ),
    AttributeSpec(
        "Design Capacity",
        "Largest flow it is made for",
        units="m3/h",
        category="Nameplate",
        choices=(120.0, 250.0, 400.0),
    ),
    AttributeSpec(
        "Curve",
        "Capacity at five loads",
        "Double[]",
        category="Nameplate",
        choices=((0.0, 24.5, 41.0, 52.0, 60.0),),
    ),
    AttributeSpec(
        "Asset Number",
        "Key in the maintenance system",
        "Int64",
        category="Nameplate",
        choices=(9_007_199_254_740_993, 42, 70_001),
        hidden=True,
    ),
    AttributeSpec("Drawing", "Scan of the drawing", "Unsupported", category="Nameplate", hidden=True),
    AttributeSpec(
        "Former Tag", "Name before the merger", "String", category="Nameplate", choices=("",), excluded=True
    ),
)


def _equipment(name: str, prefix: str, description: str, category: str, *own: AttributeSpec) -> TemplateSpec:
    return TemplateSpec(name, description, "Equipment", prefix, category, own)


ELEMENT_TEMPLATES = (
    TemplateSpec(
        "Site",
        "An enterprise",
        attributes=(
            AttributeSpec("Owner", "Who runs it", "String", category="Nameplate", choices=("Operations",)),
        ),
    ),
    TemplateSpec(
        "Plant",
        "A plant of the enterprise",
        attributes=(
            AttributeSpec(
                "Country", "Where it is", "String", category="Nameplate", choices=("CH", "NL", "SE")
            ),
            AttributeSpec(
                "Headcount", "People on site", "Int32", category="Nameplate", choices=(85, 120, 240)
            ),
        ),
    ),
    TemplateSpec("Area", "An area of a plant"),
    TemplateSpec(
        "Unit",
        "A process unit",
        attributes=(
            AttributeSpec("Line", "Number of the line", "Int32", category="Nameplate", choices=(1, 2, 3)),
        ),
    ),
    TemplateSpec("Equipment", "What all equipment has", attributes=_NAMEPLATE),
    _equipment(
        "Reactor",
        "R",
        "A stirred reactor",
        "Production",
        _measured("Level", "LEVEL", 0, *_LIMITS),
        _measured("Temperature", "TEMP", 0, *_LIMITS, _FAHRENHEIT),
        _measured("Pressure", "PRES"),
        _state("Batch", "BATCH"),
    ),
    _equipment(
        "Feed Line",
        "FL",
        "Two feeds and the valve between them",
        "Production",
        _measured("Inlet Flow", "FLOW", 0, *_LIMITS),
        _measured("Outlet Flow", "FLOW", 1),
        _state("Valve", "VALVE"),
    ),
    _equipment("Packer", "PK", "A packing line", "Production", _state("Pieces", "COUNT")),
    _equipment(
        "Pump",
        "P",
        "A pump and its motor",
        "Rotating",
        _state("State", "PUMP"),
        _measured("Flow", "FLOW", 0, *_LIMITS),
        _measured("Pressure", "PRES", 0, *_LIMITS),
        _measured("Vibration", "VIB", 0, *_LIMITS),
        _measured("Power", "POWER"),
    ),
    _equipment(
        "Tank",
        "T",
        "A storage tank",
        "Production",
        _measured("Inflow", "FLOW"),
        _measured("Level", "LEVEL", 0, *_LIMITS),
        _measured("Temperature", "TEMP", 0, _FAHRENHEIT),
    ),
    _equipment(
        "Separator",
        "S",
        "A separator column",
        "Production",
        _measured("Top Pressure", "PRES", 0, *_LIMITS),
        _measured("Bottom Pressure", "PRES", 1),
        _measured("Temperature", "TEMP", 0, _FAHRENHEIT),
        _measured("Level", "LEVEL"),
        _state("Grade", "GRADE"),
    ),
    _equipment(
        "Compressor",
        "C",
        "A compressor",
        "Rotating",
        _measured("Pressure", "PRES", 0, *_LIMITS),
        _measured("Temperature", "TEMP", 0, *_LIMITS),
        _measured("Power", "POWER"),
        _measured("Vibration", "VIB", 0, *_LIMITS),
    ),
    _equipment(
        "Heat Exchanger",
        "E",
        "A heat exchanger",
        "Static",
        _measured("Hot Flow", "FLOW", 0),
        _measured("Cold Flow", "FLOW", 1),
        _measured("Temperature", "TEMP", 0, _FAHRENHEIT),
    ),
    _equipment("Analyser", "A", "An analyser", "Static", _state("Calibrated", "CAL")),
)

AREA_EQUIPMENT = (
    ("Reactor", "Feed Line", "Packer"),
    ("Pump", "Tank"),
    ("Separator", "Feed Line"),
    ("Compressor", "Heat Exchanger", "Analyser"),
)
"""Which equipment the instruments of one area of a unit make up, in the order they are taken."""
