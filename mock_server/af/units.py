"""Units of measure: the classes, how units convert, and which points and attributes use them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """A unit; `value * factor + offset` is the same in the canonical unit of its class."""

    name: str
    abbreviation: str
    factor: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class MeasureClass:
    """A quantity and its units, of which the first is the canonical one."""

    name: str
    description: str
    units: tuple[Measure, ...]


MEASURES = (
    MeasureClass(
        "Temperature",
        "Thermodynamic temperature",
        (
            Measure("kelvin", "K"),
            Measure("degree Celsius", "°C", 1.0, 273.15),
            Measure("degree Fahrenheit", "°F", 5.0 / 9.0, 459.67 * 5.0 / 9.0),
        ),
    ),
    MeasureClass(
        "Pressure",
        "Force on an area",
        (
            Measure("pascal", "Pa"),
            Measure("kilopascal", "kPa", 1_000.0),
            Measure("bar", "bar", 100_000.0),
            Measure("pound-force per square inch", "psi", 6_894.757293168),
        ),
    ),
    MeasureClass(
        "Volume Flow Rate",
        "Volume in time",
        (
            Measure("cubic meter per second", "m3/s"),
            Measure("cubic meter per hour", "m3/h", 1.0 / 3_600.0),
            Measure("liter per second", "L/s", 0.001),
        ),
    ),
    MeasureClass("Power", "Energy in time", (Measure("watt", "W"), Measure("kilowatt", "kW", 1_000.0))),
    MeasureClass(
        "Speed",
        "Length in time",
        (Measure("meter per second", "m/s"), Measure("millimeter per second", "mm/s", 0.001)),
    ),
    MeasureClass("Ratio", "Part of a whole", (Measure("fraction", "ratio"), Measure("percent", "%", 0.01))),
)
_CLASS_OF = {unit: each for each in MEASURES for unit in each.units}
_BY_TEXT = {text.lower(): unit for unit in _CLASS_OF for text in (unit.name, unit.abbreviation)}


class IncompatibleUnits(ValueError):
    """The two units measure different quantities."""


def measure(text: str) -> Measure | None:
    """The unit of that name or abbreviation, whatever its case, or None."""
    return _BY_TEXT.get(text.lower())


def class_of(unit: Measure) -> MeasureClass:
    """The class a unit belongs to."""
    return _CLASS_OF[unit]


def conversion(have: str, want: Measure) -> tuple[float, float]:
    """Factor and offset that turn a value in `have` into one in `want`.

    Raises:
        IncompatibleUnits: when `have` is no unit of the same class.
    """
    source = measure(have)
    if source is None or class_of(source) is not class_of(want):
        raise IncompatibleUnits(have)
    if source is want:
        return 1.0, 0.0
    return source.factor / want.factor, (source.offset - want.offset) / want.factor
