"""AF objects as PI Web API shows them; links lead only to what this server has."""

from typing import Any

from mock_server import webid
from mock_server.af.attributes import Attribute
from mock_server.af.framework import Analysis, Element
from mock_server.af.ids import Kind
from mock_server.af.library import lineage
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
from mock_server.call import Call
from mock_server.sensors import DIGITAL_SETS

STREAM_LINKS = {
    "InterpolatedData": "interpolated",
    "RecordedData": "recorded",
    "PlotData": "plot",
    "SummaryData": "summary",
    "Value": "value",
    "EndValue": "end",
}


def head(call: Call, item: Any) -> dict[str, Any]:
    """What every AF object starts with."""
    return {
        "WebId": call.web_id(item),
        "Id": str(item.guid),
        "Name": item.name,
        "Description": item.description,
        "Path": item.path,
    }


def link(call: Call, collection: str, item: Any, *rest: str) -> str:
    """The address of an object or of what is below it."""
    return call.link("/".join(["", collection, call.web_id(item), *rest]))


def links(call: Call, collection: str, item: Any, **below: str) -> dict[str, str]:
    """`Self`, and the resources below it by the names of their links."""
    own = link(call, collection, item)
    return {"Self": own} | {name: f"{own}/{path}" for name, path in below.items()}


def stream_links(call: Call, collection: str, item: Any) -> dict[str, str]:
    """The addresses of an object's values, by the names of their links."""
    own = link(call, collection, item)
    return {name: f"{own}/{path}" for name, path in STREAM_LINKS.items()}


def database_link(call: Call) -> str:
    """The address of the database."""
    return link(call, "assetdatabases", call.server.plant.assets.library.database)


def asset_server_json(call: Call, server: AFObject) -> dict[str, Any]:
    """An asset server."""
    below = {"Databases": "assetdatabases", "UnitClasses": "unitclasses"}
    return head(call, server) | {
        "IsConnected": True,
        "ServerVersion": "2.10.9.593",
        "ExtendedProperties": {},
        "Links": links(call, "assetservers", server, **below),
    }


def database_json(call: Call, database: AFObject) -> dict[str, Any]:
    """An asset database."""
    below = {
        "Elements": "elements",
        "ElementTemplates": "elementtemplates",
        "EventFrames": "eventframes",
        "ElementCategories": "elementcategories",
        "AttributeCategories": "attributecategories",
        "TableCategories": "tablecategories",
        "AnalysisCategories": "analysiscategories",
        "AnalysisTemplates": "analysistemplates",
        "Analyses": "analyses",
        "EnumerationSets": "enumerationsets",
        "Tables": "tables",
    }
    made = links(call, "assetdatabases", database, **below)
    made["AssetServer"] = link(call, "assetservers", call.server.plant.assets.library.server)
    return head(call, database) | {
        "ExtendedProperties": {"SimulatorVersion": {"Value": call.server.generation.product_version}},
        "Links": made,
    }


def element_json(call: Call, element: Element) -> dict[str, Any]:
    """An element; with `associations=Paths` every path that leads to it."""
    below = {
        "Analyses": "analyses",
        "Attributes": "attributes",
        "Elements": "elements",
        "Categories": "categories",
        "EventFrames": "eventframes",
    }
    made = links(call, "elements", element, **below)
    made["Database"] = database_link(call)
    made["Template"] = link(call, "elementtemplates", element.template)
    if element.parent:
        made["Parent"] = link(call, "elements", element.parent)
    made |= stream_links(call, "streamsets", element)
    shown = head(call, element) | {
        "TemplateName": element.template.name,
        "HasChildren": element.has_children,
        "CategoryNames": element.category_names,
        "ExtendedProperties": {},
        "Links": made,
    }
    return shown | ({"Paths": [element.path]} if _associated(call, "Paths") else {})


def attribute_json(call: Call, attribute: Attribute) -> dict[str, Any]:
    """An attribute; with `associations=DataReference` the point behind it."""
    spec, point = attribute.spec, attribute.point
    is_number = point is not None and point.point_type not in ("Digital", "String", "Timestamp")
    shown = head(call, attribute) | {
        "Type": attribute.type,
        "TypeQualifier": attribute.type_qualifier,
        "DefaultUnitsName": attribute.units_name,
        "DefaultUnitsNameAbbreviation": attribute.units,
        "DisplayDigits": -5,
        "DataReferencePlugIn": attribute.plugin,
        "ConfigString": attribute.config,
        "IsConfigurationItem": spec.configuration,
        "IsExcluded": spec.excluded,
        "IsHidden": spec.hidden,
        "IsManualDataEntry": False,
        "HasChildren": bool(spec.children),
        "CategoryNames": attribute.category_names,
        "Step": point.sensor.step if point else False,
        "TraitName": spec.trait,
        "Span": point.sensor.span if point and is_number else None,
        "Zero": point.sensor.zero if point and is_number else None,
        "Links": _attribute_links(call, attribute),
    }
    if _associated(call, "DataReference") and point is not None:
        shown["DataReference"] = {"PIPoint": _point_reference(call, attribute)}
    return shown | ({"Paths": [attribute.path]} if _associated(call, "Paths") else {})


def template_json(call: Call, template: Template) -> dict[str, Any]:
    """A template of elements or event frames."""
    spec = template.spec
    below = {
        "AnalysisTemplates": "analysistemplates",
        "AttributeTemplates": "attributetemplates",
        "Categories": "categories",
    }
    made = links(call, "elementtemplates", template, **below)
    made["Database"] = database_link(call)
    if spec.base:
        base = call.server.plant.assets.library.templates[spec.base]
        made["BaseTemplate"] = link(call, "elementtemplates", base)
    return head(call, template) | {
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
    made = links(
        call, "attributetemplates", item, AttributeTemplates="attributetemplates", Categories="categories"
    )
    made["ElementTemplate"] = link(call, "elementtemplates", item.template)
    if item.parent:
        made["Parent"] = link(call, "attributetemplates", item.parent)
    refers = spec.sensor or spec.source
    return head(call, item) | {
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
    made = links(call, CATEGORY_COLLECTIONS[category.marker], category)
    return head(call, category) | {"Links": made | {"Database": database_link(call)}}


def table_json(call: Call, table: AFTable) -> dict[str, Any]:
    """A table, without its rows."""
    made = links(call, "tables", table, Data="data", Categories="categories")
    return head(call, table) | {
        "CategoryNames": ["Reference"],
        "TimeZone": "UTC",
        "ConvertToLocalTime": False,
        "Links": made | {"Database": database_link(call)},
    }


def unit_class_json(call: Call, unit_class: UnitClass) -> dict[str, Any]:
    """A unit class."""
    made = links(call, "unitclasses", unit_class, CanonicalUnit="canonicalunit", Units="units")
    made["AssetServer"] = link(call, "assetservers", call.server.plant.assets.library.server)
    canonical = unit_class.units[0].measure
    return head(call, unit_class) | {
        "CanonicalUnitName": canonical.name,
        "CanonicalUnitAbbreviation": canonical.abbreviation,
        "Links": made,
    }


def unit_json(call: Call, unit: Unit) -> dict[str, Any]:
    """A unit; its figures refer to the canonical unit of its class."""
    classes = call.server.plant.assets.library.unit_classes.values()
    unit_class = next(each for each in classes if unit in each.units)
    canonical = unit_class.units[0]
    made = links(call, "units", unit) | {"Class": link(call, "unitclasses", unit_class)}
    if unit != canonical:
        made["ReferenceUnit"] = link(call, "units", canonical)
    return head(call, unit) | {
        "Abbreviation": unit.measure.abbreviation,
        "Factor": unit.measure.factor,
        "Offset": unit.measure.offset,
        "ReferenceFactor": unit.measure.factor,
        "ReferenceOffset": unit.measure.offset,
        "ReferenceUnitAbbreviation": canonical.measure.abbreviation,
        "Links": made,
    }


def enumeration_set_json(call: Call, item: EnumerationSet) -> dict[str, Any]:
    """An enumeration set of the database."""
    made = links(call, "enumerationsets", item, Values="enumerationvalues")
    return head(call, item) | {"Links": made | {"Database": database_link(call)}}


def enumeration_value_json(call: Call, item: EnumerationValue) -> dict[str, Any]:
    """A state of an enumeration set of the database."""
    sets = call.server.plant.assets.library.enumeration_sets.values()
    owner = next(each for each in sets if item in each.values)
    made = links(call, "enumerationvalues", item) | {"EnumerationSet": link(call, "enumerationsets", owner)}
    return head(call, item) | {"Value": item.code, "Parent": "", "Links": made}


def analysis_json(call: Call, analysis: Analysis) -> dict[str, Any]:
    """An analysis."""
    library = call.server.plant.assets.library
    spec = analysis.spec
    made = links(call, "analyses", analysis, Categories="categories")
    made |= {
        "Target": link(call, "elements", analysis.element),
        "Database": database_link(call),
        "Template": link(call, "analysistemplates", library.analysis_templates[spec.name]),
        "AnalysisRule": link(call, "analysisrules", analysis.part(Kind.ANALYSIS_RULE)),
        "TimeRule": link(call, "timerules", analysis.part(Kind.TIME_RULE)),
    }
    return head(call, analysis) | {
        "AnalysisRulePlugInName": spec.plugin,
        "AutoCreated": False,
        "CategoryNames": [spec.category],
        "GroupId": 0,
        "HasNotification": False,
        "HasTarget": True,
        "HasTemplate": True,
        "IsConfigured": True,
        "IsTimeRuleDefinedByTemplate": True,
        "MaximumQueueSize": 0,
        "OutputTime": "",
        "Priority": "Normal",
        "PublishResults": False,
        "Status": "Enabled",
        "TargetWebId": call.web_id(analysis.element),
        "TemplateName": spec.name,
        "TimeRulePlugInName": spec.time_rule,
        "Links": made,
    }


def analysis_template_json(call: Call, item: AnalysisTemplate) -> dict[str, Any]:
    """An analysis template."""
    target = call.server.plant.assets.library.templates[item.spec.template]
    made = links(call, "analysistemplates", item, Categories="categories")
    return head(call, item) | {
        "AnalysisRulePlugInName": item.spec.plugin,
        "CategoryNames": [item.spec.category],
        "CreateEnabled": True,
        "GroupId": 0,
        "HasNotificationTemplate": False,
        "HasTarget": True,
        "OutputTime": "",
        "TargetName": target.name,
        "TimeRulePlugInName": item.spec.time_rule,
        "Links": made | {"Database": database_link(call), "Target": link(call, "elementtemplates", target)},
    }


def analysis_rule_json(call: Call, rule: Analysis) -> dict[str, Any]:
    """What an analysis computes."""
    made = links(call, "analysisrules", rule, AnalysisRules="analysisrules")
    return head(call, rule) | {
        "ConfigString": rule.spec.config,
        "DisplayString": rule.spec.config,
        "EditorType": "",
        "HasChildren": False,
        "IsConfigured": True,
        "IsInitializing": False,
        "PlugInName": rule.spec.plugin,
        "SupportedBehaviors": ["None"],
        "VariableMapping": rule.spec.variables,
        "Links": made | {"Analysis": link(call, "analyses", rule.part(Kind.ANALYSIS))},
    }


def time_rule_json(call: Call, rule: Analysis) -> dict[str, Any]:
    """When an analysis runs."""
    return head(call, rule) | {
        "ConfigString": rule.spec.schedule,
        "ConfigStringStored": rule.spec.schedule,
        "DisplayString": rule.spec.schedule,
        "EditorType": "",
        "IsConfigured": True,
        "IsInitializing": False,
        "MergeDuplicatedItems": False,
        "PlugInName": rule.spec.time_rule,
        "Links": links(call, "timerules", rule)
        | {"Analysis": link(call, "analyses", rule.part(Kind.ANALYSIS))},
    }


CATEGORY_COLLECTIONS = {
    webid.ELEMENT_CATEGORY: "elementcategories",
    webid.ATTRIBUTE_CATEGORY: "attributecategories",
    webid.ANALYSIS_CATEGORY: "analysiscategories",
    webid.TABLE_CATEGORY: "tablecategories",
}


def is_kind_of(template: Template, name: str) -> bool:
    """Whether a template is the one of that name (lower case) or derived from it."""
    return name in [each.name.lower() for each in lineage(template.name)]


def _associated(call: Call, name: str) -> bool:
    return name.lower() in [each.strip().lower() for each in call.text("associations").split(";")]


def _attribute_links(call: Call, attribute: Attribute) -> dict[str, str]:
    made = links(call, "attributes", attribute, Attributes="attributes", Categories="categories")
    owner = ("eventframes", "EventFrame") if attribute.is_of_frame else ("elements", "Element")
    made[owner[1]] = link(call, owner[0], attribute.owner)
    made["Template"] = link(call, "attributetemplates", attribute.template)
    if attribute.parent:
        made["Parent"] = link(call, "attributes", attribute.parent)
    if attribute.spec.trait:
        made["Trait"] = call.link(f"/attributetraits/{attribute.spec.trait}")
    if attribute.point is None:
        made["Value"] = link(call, "attributes", attribute, "value")
    else:
        made |= stream_links(call, "streams", attribute)
        made["Point"] = link(call, "points", attribute.point)
    return made | _enumeration_links(call, attribute)


def _enumeration_links(call: Call, attribute: Attribute) -> dict[str, str]:
    if not attribute.type_qualifier:
        return {}
    own = call.server.plant.assets.library.enumeration_sets.get(attribute.type_qualifier)
    address = link(call, "enumerationsets", own) if own else _digital_set_link(call, attribute.type_qualifier)
    return {"EnumerationSet": address, "EnumerationValues": f"{address}/enumerationvalues"}


def _digital_set_link(call: Call, name: str) -> str:
    server = call.server.plant.catalog.server
    digital_set = next(each for each in DIGITAL_SETS if each.name == name)
    path = f"\\\\{server.name}\\EnumerationSets[{name}]"
    kind = webid.KINDS[call.web_id_type]
    text = webid.encode(kind, webid.DIGITAL_SET, server.guid, server.set_guid(digital_set), path)
    return call.link(f"/enumerationsets/{text}")


def _point_reference(call: Call, attribute: Attribute) -> dict[str, Any]:
    point = attribute.point
    if point is None:
        return {}
    return {
        "WebId": call.web_id(point),
        "Id": point.point_id,
        "Name": point.name,
        "Path": point.path,
        "Descriptor": point.descriptor,
        "PointType": point.point_type,
        "EngineeringUnits": point.engineering_units,
        "DigitalSetName": point.digital_set_name,
    }
