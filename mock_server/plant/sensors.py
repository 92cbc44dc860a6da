"""The kinds of instruments of a plant as data: quantity, unit, frequency and movement."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class DigitalSet:
    """A table of named states by code."""

    name: str
    description: str
    states: dict[int, str]


@dataclass(frozen=True)
class Sensor:
    """One kind of instrument.

    `period_s` bounds the nominal seconds between events; `daily`, `steps` and `noise` are amplitudes as fractions of
    `span`. A `cyclic` one fills and drains in turn. `idle` is its value as a fraction of `span` while its machine is
    stopped; below 0 it does not depend on the machine. `texts` are those of an imported String point.
    """

    name: str
    point_type: str
    descriptor: str
    units: str
    period_s: tuple[int, int]
    zero: float = 0.0
    span: float = 100.0
    daily: float = 0.0
    steps: float = 0.0
    noise: float = 0.0
    digital_set: str = ""
    step: bool = False
    cyclic: bool = False
    idle: float = -1.0
    texts: tuple[str, ...] = field(default=(), repr=False, compare=False)


VALVE_STATES = DigitalSet("VALVE_STATES", "Position of a valve", {0: "CLOSED", 1: "OPEN", 2: "TRAVEL"})
PUMP_STATES = DigitalSet("PUMP_STATES", "State of a motor", {0: "STOP", 1: "RUN", 2: "TRIP", 3: "LOCAL"})
SYSTEM_STATES = DigitalSet(
    "SYSTEM",
    "States any point can take in place of a value",
    {
        244: "Filtered",
        246: "I/O Timeout",
        248: "No Data",
        249: "Calc Failed",
        253: "Pt Created",
        254: "Shutdown",
        255: "Bad Input",
    },
)
DIGITAL_SETS = (SYSTEM_STATES, VALVE_STATES, PUMP_STATES)
STATES = {each.name: each.states for each in DIGITAL_SETS}

NUMERIC_TYPES = ("Float32", "Float64", "Int32")

IO_TIMEOUT = 246
FILTERED = 244
NO_DATA = 248
CALC_FAILED = 249
PT_CREATED = 253
FAULT_CODES = (255, 255, 255, 246, 246, 246, 254, 254)  # codes that replace a value, by three hash bits

GRADES = (
    "Standard",
    "Premium 98 %",
    'Special "A"',
    "Crème n° 5",
    "Off-spec; rework",
    "C:\\recipes\\7",
    '{"lot":7}]',
    "",
)

SENSORS = (
    Sensor("FLOW", "Float32", "Flow rate", "m3/h", (10, 15), 0.0, 400.0, 0.06, 0.08, 0.006, idle=0.0),
    Sensor("PRES", "Float32", "Pressure", "bar", (25, 35), 0.0, 25.0, 0.03, 0.06, 0.004, idle=0.08),
    Sensor("TEMP", "Float32", "Temperature", "°C", (25, 35), -20.0, 220.0, 0.09, 0.07, 0.002),
    Sensor("LEVEL", "Float64", "Level", "%", (55, 65), 0.0, 100.0, 0.05, 0.28, 0.004, cyclic=True),
    Sensor("VIB", "Float32", "Vibration velocity", "mm/s", (55, 65), 0.0, 12.0, 0.02, 0.05, 0.03, idle=0.02),
    Sensor("POWER", "Float64", "Active power", "kW", (55, 65), 0.0, 1500.0, 0.1, 0.12, 0.008, idle=0.03),
    Sensor("COUNT", "Int32", "Pieces made", "", (55, 65), 0.0, 10_000_000.0, step=True),
    Sensor("VALVE", "Digital", "Valve position", "", (240, 360), digital_set="VALVE_STATES", step=True),
    Sensor("PUMP", "Digital", "Pump state", "", (500, 700), digital_set="PUMP_STATES", step=True),
    Sensor("BATCH", "String", "Batch in progress", "", (10_800, 18_000), step=True),
    Sensor("GRADE", "String", "Product grade", "", (7_200, 14_400), step=True),
    Sensor("CAL", "Timestamp", "Last calibration", "", (18_000, 25_000), step=True),
)
CODE_OF = {sensor.name: code for code, sensor in enumerate(SENSORS)}

# One unit of a plant: 32 instruments in four areas of eight. About 3,000 events per tag and day on average.
_UNIT = """
FLOW FLOW PRES TEMP LEVEL VALVE COUNT BATCH
FLOW FLOW PRES TEMP LEVEL POWER PUMP VIB
FLOW FLOW PRES TEMP LEVEL VALVE PRES GRADE
FLOW FLOW PRES TEMP TEMP POWER VIB CAL
"""
MIX = tuple(CODE_OF[name] for name in _UNIT.split())
AREA_SIZE = 8
AREAS = len(MIX) // AREA_SIZE  # each with its own machine
