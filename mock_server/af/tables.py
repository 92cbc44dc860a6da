"""The AF tables of the database, as data."""

from typing import Any

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
