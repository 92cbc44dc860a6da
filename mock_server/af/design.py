"""Definitions as data: specifications of templates and the templates of elements."""

from dataclasses import dataclass
from typing import Any

PI_POINT = "PI Point"
FORMULA = "Formula"


@dataclass(frozen=True)
class AttributeSpec:
    """One attribute of a template.

    The source of its value: `sensor`, the element's point of that kind (which gives type, units and limits);
    `source`, an attribute of the frame's primary element; `formula`, factor and offset applied to the parent;
    `share`, a fraction of the parent's range; else one of `choices`, drawn for each element.
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


def _nameplate(name: str, description: str, type: str, *choices: Any, **more: Any) -> AttributeSpec:
    """An attribute whose value is drawn from the choices for each element."""
    return AttributeSpec(name, description, type, choices=choices, **{"category": "Nameplate", **more})


_MAKERS = ("Alder Works", "Birch & Sons", 'Cedar "Flow"', "Dogwood Systèmes")
_DATES = ("2009-03-02T00:00:00Z", "2014-11-17T06:30:00Z", "2018-07-01T00:00:00.5Z")
_NAMEPLATE = (
    _nameplate("Manufacturer", "Who made it", "String", *_MAKERS, configuration=True),
    _nameplate("Commissioned", "First day of service", "DateTime", *_DATES),
    _nameplate(
        "Criticality", "What its loss means", "EnumerationValue", 0, 1, 1, 2, enumeration="Criticality"
    ),
    _nameplate("In Service", "Whether it may be run", "Boolean", True, True, False, category="State"),
    _nameplate("Design Capacity", "Largest flow it is made for", "Double", 120.0, 250.0, 400.0, units="m3/h"),
    _nameplate("Curve", "Capacity at five loads", "Double[]", (0.0, 24.5, 41.0, 52.0, 60.0)),
    _nameplate("Asset Number", "Key in the maintenance system", "Int64", 2**53 + 1, 42, 70_001, hidden=True),
    _nameplate("Drawing", "Scan of the drawing", "Unsupported", hidden=True),
    _nameplate("Former Tag", "Name before the merger", "String", "", excluded=True),
)


def _equipment(name: str, prefix: str, description: str, category: str, *own: AttributeSpec) -> TemplateSpec:
    return TemplateSpec(name, description, "Equipment", prefix, category, own)


ELEMENT_TEMPLATES = (
    TemplateSpec(
        "Site", "An enterprise", attributes=(_nameplate("Owner", "Who runs it", "String", "Operations"),)
    ),
    TemplateSpec(
        "Plant",
        "A plant of the enterprise",
        attributes=(
            _nameplate("Country", "Where it is", "String", "CH", "NL", "SE"),
            _nameplate("Headcount", "People on site", "Int32", 85, 120, 240),
        ),
    ),
    TemplateSpec("Area", "An area of a plant"),
    TemplateSpec(
        "Unit", "A process unit", attributes=(_nameplate("Line", "Number of the line", "Int32", 1, 2, 3),)
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
