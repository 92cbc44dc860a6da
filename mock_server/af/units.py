"""Units of measure, their classes and conversions."""

from dataclasses import dataclass


@dataclass(frozen=True)
class UnitSpec:
    """A unit; `value * factor + offset` is the value in the canonical unit of its class."""

    name: str
    abbreviation: str
    factor: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class UnitClassSpec:
    """A quantity and its units; the first is the canonical one."""

    name: str
    description: str
    units: tuple[UnitSpec, ...]


UNIT_CLASSES = (
    UnitClassSpec(
        "Temperature",
        "Thermodynamic temperature",
        (
            UnitSpec("kelvin", "K"),
            UnitSpec("degree Celsius", "°C", 1.0, 273.15),
            UnitSpec("degree Fahrenheit", "°F", 5.0 / 9.0, 459.67 * 5.0 / 9.0),
        ),
    ),
    UnitClassSpec(
        "Pressure",
        "Force on an area",
        (
            UnitSpec("pascal", "Pa"),
            UnitSpec("kilopascal", "kPa", 1_000.0),
            UnitSpec("bar", "bar", 100_000.0),
            UnitSpec("pound-force per square inch", "psi", 6_894.757293168),
        ),
    ),
    UnitClassSpec(
        "Volume Flow Rate",
        "Volume in time",
        (
            UnitSpec("cubic meter per second", "m3/s"),
            UnitSpec("cubic meter per hour", "m3/h", 1.0 / 3_600.0),
            UnitSpec("liter per second", "L/s", 0.001),
        ),
    ),
    UnitClassSpec("Power", "Energy in time", (UnitSpec("watt", "W"), UnitSpec("kilowatt", "kW", 1_000.0))),
    UnitClassSpec(
        "Speed",
        "Length in time",
        (UnitSpec("meter per second", "m/s"), UnitSpec("millimeter per second", "mm/s", 0.001)),
    ),
    UnitClassSpec(
        "Ratio", "Part of a whole", (UnitSpec("fraction", "ratio"), UnitSpec("percent", "%", 0.01))
    ),
)
_CLASS_OF = {unit: each for each in UNIT_CLASSES for unit in each.units}
_BY_TEXT = {text.lower(): unit for unit in _CLASS_OF for text in (unit.name, unit.abbreviation)}


class IncompatibleUnits(ValueError):
    """The two units measure different quantities."""


def unit_named(text: str) -> UnitSpec | None:
    """The unit of that name or abbreviation, whatever its case, or None."""
    return _BY_TEXT.get(text.lower())


def class_of(unit: UnitSpec) -> UnitClassSpec:
    """The class a unit belongs to."""
    return _CLASS_OF[unit]


def conversion(have: str, want: UnitSpec) -> tuple[float, float]:
    """Factor and offset that convert a value in `have` to `want`.

    Raises:
        IncompatibleUnits: when `have` is not a unit of the same class.
    """
    source = unit_named(have)
    if source is None or class_of(source) is not class_of(want):
        raise IncompatibleUnits(have)
    if source is want:
        return 1.0, 0.0
    return source.factor / want.factor, (source.offset - want.offset) / want.factor
