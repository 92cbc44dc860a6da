"""AF objects as PI Web API shows them; links lead only to resources this server has."""

from typing import Any

from mock_server.af.attributes import Attribute
from mock_server.af.framework import Element
from mock_server.af.library import lineage
from mock_server.af.objects import (
    AFObject,
    Template,
)
from mock_server.plant import webid
from mock_server.plant.sensors import DIGITAL_SETS, NUMERIC_TYPES, DigitalSet
from mock_server.webapi.call import Call

STREAM_LINKS = {
    "InterpolatedData": "interpolated",
    "RecordedData": "recorded",
    "PlotData": "plot",
    "SummaryData": "summary",
    "Value": "value",
    "EndValue": "end",
}


def head(call: Call, item: Any) -> dict[str, Any]:
    """The first members of every AF object."""
    return {
        "WebId": call.web_id(item),
        "Id": str(item.guid),
        "Name": item.name,
        "Description": item.description,
        "Path": item.path,
    }


def link(call: Call, collection: str, item: Any, *rest: str) -> str:
    """The address of an object or of a resource below it."""
    return call.link("/".join(["", collection, call.web_id(item), *rest]))


def links(call: Call, collection: str, item: Any, *below: str, **elsewhere: str) -> dict[str, str]:
    """`Self`, and links to resources below it; those in `elsewhere` have a path that differs from their name."""
    own = link(call, collection, item)
    paths = {name: name.lower() for name in below} | elsewhere
    return {"Self": own} | {name: f"{own}/{path}" for name, path in paths.items()}


def stream_links(call: Call, collection: str, item: Any) -> dict[str, str]:
    """Links to an object's values."""
    own = link(call, collection, item)
    return {name: f"{own}/{path}" for name, path in STREAM_LINKS.items()}


def database_link(call: Call) -> str:
    """The address of the database."""
    return link(call, "assetdatabases", call.plant.assets.library.database)


def asset_server_json(call: Call, server: AFObject) -> dict[str, Any]:
    """An asset server."""
    made = links(call, "assetservers", server, Databases="assetdatabases", UnitClasses="unitclasses")
    return head(call, server) | {
        "IsConnected": True,
        "ServerVersion": "2.10.9.593",
        "ExtendedProperties": {},
        "Links": made,
    }


def database_json(call: Call, database: AFObject) -> dict[str, Any]:
    """An asset database."""
    categories = [f"{kind}Categories" for kind in ("Element", "Attribute", "Table", "Analysis")]
    below = ("Elements", "ElementTemplates", "EventFrames", *categories)
    below += ("AnalysisTemplates", "Analyses", "EnumerationSets", "Tables")
    made = links(call, "assetdatabases", database, *below)
    made["AssetServer"] = link(call, "assetservers", call.plant.assets.library.server)
    return head(call, database) | {
        "ExtendedProperties": {"Purpose": {"Value": "Simulation"}},
        "Links": made,
    }


def element_json(call: Call, element: Element) -> dict[str, Any]:
    """An element; with `associations=Paths` every path that leads to it."""
    below = ("Analyses", "Attributes", "Elements", "Categories", "EventFrames")
    made = links(call, "elements", element, *below)
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
    is_number = point is not None and point.point_type in NUMERIC_TYPES
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


def is_kind_of(template: Template, name: str) -> bool:
    """Whether a template is the one of that name (lower case) or derived from it."""
    return name in [each.name.lower() for each in lineage(template.name)]


def _associated(call: Call, name: str) -> bool:
    return name.lower() in [each.strip().lower() for each in call.text("associations").split(";")]


def _attribute_links(call: Call, attribute: Attribute) -> dict[str, str]:
    made = links(call, "attributes", attribute, "Attributes", "Categories")
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
    own = call.plant.assets.library.enumeration_sets.get(attribute.type_qualifier)
    if own:
        address = link(call, "enumerationsets", own)
    else:
        digital_set = next(each for each in DIGITAL_SETS if each.name == attribute.type_qualifier)
        address = call.link(f"/enumerationsets/{digital_set_web_id(call, digital_set)}")
    return {"EnumerationSet": address, "EnumerationValues": f"{address}/enumerationvalues"}


def digital_set_path(call: Call, digital_set: DigitalSet) -> str:
    """The path of a digital set of the data server."""
    return f"\\\\{call.plant.catalog.server.name}\\EnumerationSets[{digital_set.name}]"


def digital_set_web_id(call: Call, digital_set: DigitalSet) -> str:
    """The WebID of a digital set, of the requested type."""
    server, kind = call.plant.catalog.server, webid.KINDS[call.web_id_type]
    path = digital_set_path(call, digital_set)
    return webid.encode(kind, webid.DIGITAL_SET, server.guid, server.set_guid(digital_set), path)


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
