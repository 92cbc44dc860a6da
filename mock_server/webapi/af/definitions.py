"""Definitions of the asset database and server as PI Web API shows them."""

from typing import Any

from mock_server.af.objects import (
    AFObject,
    AFTable,
    AnalysisTemplate,
    AttributeTemplate,
    EnumerationSet,
    EnumerationValue,
    Template,
    Unit,
    UnitClass,
)
from mock_server.plant import webid
from mock_server.webapi.af import replies
from mock_server.webapi.call import Call

CATEGORY_COLLECTIONS = {
    webid.ELEMENT_CATEGORY: "elementcategories",
    webid.ATTRIBUTE_CATEGORY: "attributecategories",
    webid.ANALYSIS_CATEGORY: "analysiscategories",
    webid.TABLE_CATEGORY: "tablecategories",
}


def template_json(call: Call, template: Template) -> dict[str, Any]:
    """A template of elements or event frames."""
    spec = template.spec
    below = ("AnalysisTemplates", "AttributeTemplates", "Categories")
    made = replies.links(call, "elementtemplates", template, *below)
    made["Database"] = replies.database_link(call)
    if spec.base:
        base = call.plant.assets.library.templates[spec.base]
        made["BaseTemplate"] = replies.link(call, "elementtemplates", base)
    return replies.head(call, template) | {
        "AllowElementToExtend": False,
        "BaseTemplate": spec.base,
        "InstanceType": spec.instance_type,
        "NamingPattern": spec.naming_pattern,
        "CategoryNames": [spec.category] if spec.category else [],
        "ExtendedProperties": {},
        "Severity": spec.severity,
        "CanBeAcknowledged": spec.can_be_acknowledged,
        "Links": made,
    }


def attribute_template_json(call: Call, item: AttributeTemplate) -> dict[str, Any]:
    """An attribute of a template."""
    spec = item.spec
    made = replies.links(call, "attributetemplates", item, "AttributeTemplates", "Categories")
    made["ElementTemplate"] = replies.link(call, "elementtemplates", item.template)
    if item.parent:
        made["Parent"] = replies.link(call, "attributetemplates", item.parent)
    refers = spec.sensor or spec.source
    return replies.head(call, item) | {
        "Type": spec.type,
        "TypeQualifier": spec.enumeration,
        "DefaultUnitsName": "",
        "DefaultUnitsNameAbbreviation": spec.units,
        "DefaultValue": None if refers or not spec.choices else spec.choices[0],
        "DataReferencePlugIn": "PI Point" if refers else "Formula" if spec.formula else "",
        "ConfigString": f"\\\\%@\\\\PISIM01%\\{refers}" if refers else "",
        "IsConfigurationItem": spec.configuration,
        "IsExcluded": spec.excluded,
        "IsHidden": spec.hidden,
        "IsManualDataEntry": False,
        "HasChildren": bool(spec.children),
        "CategoryNames": [spec.category],
        "TraitName": spec.trait,
        "Links": made,
    }


def category_json(call: Call, category: AFObject) -> dict[str, Any]:
    """A category of any kind."""
    made = replies.links(call, CATEGORY_COLLECTIONS[category.marker], category)
    return replies.head(call, category) | {"Links": made | {"Database": replies.database_link(call)}}


def table_json(call: Call, table: AFTable) -> dict[str, Any]:
    """A table, without its rows."""
    made = replies.links(call, "tables", table, "Data", "Categories")
    return replies.head(call, table) | {
        "CategoryNames": ["Reference"],
        "TimeZone": "UTC",
        "ConvertToLocalTime": False,
        "Links": made | {"Database": replies.database_link(call)},
    }


def unit_class_json(call: Call, unit_class: UnitClass) -> dict[str, Any]:
    """A unit class."""
    made = replies.links(call, "unitclasses", unit_class, "CanonicalUnit", "Units")
    made["AssetServer"] = replies.link(call, "assetservers", call.plant.assets.library.server)
    canonical = unit_class.units[0].spec
    return replies.head(call, unit_class) | {
        "CanonicalUnitName": canonical.name,
        "CanonicalUnitAbbreviation": canonical.abbreviation,
        "Links": made,
    }


def unit_json(call: Call, unit: Unit) -> dict[str, Any]:
    """A unit; its factors refer to the canonical unit of its class."""
    classes = call.plant.assets.library.unit_classes.values()
    unit_class = next(each for each in classes if unit in each.units)
    canonical = unit_class.units[0]
    made = replies.links(call, "units", unit) | {"Class": replies.link(call, "unitclasses", unit_class)}
    if unit != canonical:
        made["ReferenceUnit"] = replies.link(call, "units", canonical)
    return replies.head(call, unit) | {
        "Abbreviation": unit.spec.abbreviation,
        "Factor": unit.spec.factor,
        "Offset": unit.spec.offset,
        "ReferenceFactor": unit.spec.factor,
        "ReferenceOffset": unit.spec.offset,
        "ReferenceUnitAbbreviation": canonical.spec.abbreviation,
        "Links": made,
    }


def enumeration_set_json(call: Call, item: EnumerationSet) -> dict[str, Any]:
    """An enumeration set of the database."""
    made = replies.links(call, "enumerationsets", item, Values="enumerationvalues")
    return replies.head(call, item) | {"Links": made | {"Database": replies.database_link(call)}}


def enumeration_value_json(call: Call, item: EnumerationValue) -> dict[str, Any]:
    """A state of an enumeration set of the database."""
    sets = call.plant.assets.library.enumeration_sets.values()
    owner = next(each for each in sets if item in each.values)
    made = replies.links(call, "enumerationvalues", item) | {
        "EnumerationSet": replies.link(call, "enumerationsets", owner)
    }
    return replies.head(call, item) | {"Value": item.code, "Parent": "", "Links": made}


def analysis_template_json(call: Call, item: AnalysisTemplate) -> dict[str, Any]:
    """An analysis template."""
    target = call.plant.assets.library.templates[item.spec.template]
    made = replies.links(call, "analysistemplates", item, "Categories")
    return replies.head(call, item) | {
        "AnalysisRulePlugInName": item.spec.plugin,
        "CategoryNames": [item.spec.category],
        "CreateEnabled": True,
        "GroupId": 0,
        "HasNotificationTemplate": False,
        "HasTarget": True,
        "OutputTime": "",
        "TargetName": target.name,
        "TimeRulePlugInName": item.spec.time_rule,
        "Links": made
        | {"Database": replies.database_link(call), "Target": replies.link(call, "elementtemplates", target)},
    }
