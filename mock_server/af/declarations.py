"""Definitions as data: templates of event frames, analyses, categories, enumeration sets, traits and tables."""

from typing import Any

from mock_server.af.design import AnalysisSpec, AttributeSpec, TemplateSpec

_CAUSES = ("Seal leak", "Overload", "Power dip", "Operator error", "Unknown; <to be checked>")
_NAMING = "%TEMPLATE% %ELEMENT% %STARTTIME:yyyy-MM-dd HH:mm:ss.fffffff%"


def _frames(name: str, description: str, category: str, *own: AttributeSpec, **more: Any) -> TemplateSpec:
    return TemplateSpec(
        name, description, category=category, instance_type="EventFrame", attributes=own, **more
    )


def _alarms(
    name: str, description: str, category: str, severity: str, *own: AttributeSpec, **more: Any
) -> TemplateSpec:
    return _frames(name, description, category, *own, severity=severity, can_be_acknowledged=True, **more)


FRAME_TEMPLATES = (
    _frames(
        "Batch",
        "One batch of a reactor",
        "Production",
        AttributeSpec("Batch ID", "Name of the batch", "String", category="Production data", choices=("",)),
        AttributeSpec("Level", "Level of the reactor", source="Level"),
        AttributeSpec("Temperature", "Temperature of the reactor", source="Temperature"),
        AttributeSpec("Pressure", "Pressure of the reactor", source="Pressure"),
        naming_pattern=_NAMING,
    ),
    _frames(
        "Phase",
        "A phase of a batch",
        "Production",
        AttributeSpec("Temperature", "Temperature of the reactor", source="Temperature"),
    ),
    _alarms(
        "Alarm",
        "What all alarms have",
        "Safety",
        "Warning",
        AttributeSpec("Cause", "Why it came", "String", category="State", choices=_CAUSES),
        AttributeSpec("Priority", "1 is the most urgent", "Int32", category="State", choices=(1, 2, 3)),
    ),
    _alarms(
        "Pump Trip",
        "A pump has tripped",
        "Safety",
        "Major",
        AttributeSpec("State", "State of the motor", category="State", source="State"),
        AttributeSpec("Pressure", "Pressure at the outlet", source="Pressure"),
        AttributeSpec("Vibration", "Vibration of the motor", source="Vibration"),
        base="Alarm",
        naming_pattern=_NAMING,
    ),
    _alarms(
        "Off-Spec",
        "A product outside its specification",
        "Quality",
        "Warning",
        AttributeSpec("Grade", "Grade as reported", category="State", source="Grade"),
        AttributeSpec("Temperature", "Temperature of the column", source="Temperature"),
        base="Alarm",
        naming_pattern=_NAMING,
    ),
)


def _detection(name: str, condition: str, template: str, trigger: str, frames: str) -> AnalysisSpec:
    return AnalysisSpec(
        name,
        f"Opens an event frame {condition}",
        template,
        "EventFrame",
        "Detection",
        f"StartTrigger:={trigger}; EventFrameTemplate:={frames}",
        time_rule="Natural",
        schedule="",
    )


ANALYSES = (
    _detection("Batch Tracking", "for each batch", "Reactor", "'Batch'<>PrevVal('Batch','*')", "Batch"),
    _detection("Trip Detection", "while the pump is tripped", "Pump", "'State'=\"TRIP\"", "Pump Trip"),
    AnalysisSpec(
        "Specific Power",
        "Power for each cubic metre",
        "Pump",
        "PerformanceEquation",
        "Calculation",
        "'Power'/'Flow'",
        "Power||;Flow||;",
    ),
    _detection(
        "Quality Watch",
        "while the product is off-spec",
        "Separator",
        "'Grade'=\"Off-spec; rework\"",
        "Off-Spec",
    ),
)

CATEGORIES = {
    "Element": {
        "Production": "Makes the product",
        "Rotating": "Has moving parts",
        "Static": "Has none",
        "Safety": "Concerns safety",
        "Quality": "Concerns the product",
    },
    "Attribute": {
        "Process": "Measured",
        "Nameplate": "Fixed when built",
        "Limits": "Bounds for alarms",
        "State": "States and counters",
        "Production data": "What batches carry",
    },
    "Analysis": {"Detection": "Opens event frames", "Calculation": "Computes figures"},
    "Table": {"Reference": "Looked up by people"},
}

ENUMERATIONS = {
    "Criticality": ("What the loss of equipment means", {0: "Low", 1: "Medium", 2: "High"}),
    "Shift": ("Shifts of the day", {0: "Night", 1: "Early", 2: "Late"}),
}

TRAITS = {
    "LimitHi": "Limit High",
    "LimitLo": "Limit Low",
    "LimitTarget": "Limit Target",
    "Forecast": "Forecast",
    "Location": "Location",
    "Health": "Health",
    "AnalysisStartTriggerName": "Start Trigger Name",
}

SEVERITIES = ("None", "Information", "Warning", "Minor", "Major", "Critical")

TABLES: dict[str, tuple[str, dict[str, str], tuple[dict[str, Any], ...]]] = {
    "Maintenance Plan": (
        "What is due when",
        {
            "Asset ID": "String",
            "4WD": "Boolean",
            "Limit": "Double",
            "Since": "DateTime",
            "Visits": "Int32",
        },
        (
            {"Asset ID": "P-0001", "4WD": True, "Limit": 12.5, "Since": "2024-01-01T00:00:00Z", "Visits": 4},
            {"Asset ID": "P-0002", "4WD": False, "Limit": None, "Visits": 0},
            {
                "Asset ID": 'T-0001 "old"',
                "Limit": -0.25,
                "Since": "2023-06-30T22:00:00.1234567Z",
                "Visits": 11,
            },
        ),
    ),
    "Grades": (
        "Grades and what they sell for",
        {"Grade": "String", "Price": "Double", "Code": "Int64", "Good": "Boolean"},
        (
            {"Grade": "Standard", "Price": 410.0, "Code": 9_007_199_254_740_993, "Good": True},
            {"Grade": "Premium 98 %", "Price": 655.5, "Code": 2, "Good": True},
            {"Grade": "Crème n° 5", "Price": 1_020.25, "Code": 3, "Good": True},
            {"Grade": "Off-spec; rework", "Price": 0.0, "Code": 4, "Good": False},
        ),
    ),
    "Empty": ("A table without rows", {"Key": "String", "Value": "Single"}, ()),
}
