"""Analyses of a database: lists, searches and rules."""

from mock_server.af.declarations import ANALYSES
from mock_server.af.framework import Analysis
from mock_server.af.library import lineage
from mock_server.af.search import COMMON_FILTERS, Filter
from mock_server.webapi.af import analyses, definitions, lookup
from mock_server.webapi.af.lists import ordered, page, pattern, query_terms, query_test, unpaged
from mock_server.webapi.call import Call
from mock_server.webapi.messages import Response, refusal
from mock_server.webapi.router import route
from mock_server.webapi.routes.elements import ELEMENT_FILTERS, created

_MOST_ANALYSES = 200_000


@route("GET", "/assetdatabases/{web_id}/analyses")
def analyses_of_database(call: Call) -> Response:
    """The analyses whose `field` (Name, if not given) matches `query`."""
    lookup.database(call, call.args["web_id"])
    field = call.choice("field", "Name", ("Name", "Description"))
    matches = pattern(call, "query")
    found = [each for each in _every(call) if matches(each.name if field == "Name" else each.description)]
    return page(call, ordered(call, found, {}), analyses.analysis_json)


@route("GET", "/analyses/search")
def analyses_search(call: Call) -> Response:
    """The analyses of a database that satisfy an AFSearch query."""
    lookup.database(call, call.text("databaseWebId"))
    terms = query_terms(call, ANALYSIS_FILTERS)
    found = filter(query_test(call, terms, ANALYSIS_FILTERS), _every(call))
    return page(call, sorted(found, key=lambda each: each.name.lower()), analyses.analysis_json)


@route("GET", "/analysistemplates/search")
def analysis_templates_search(call: Call) -> Response:
    """The analysis templates of a database that satisfy an AFSearch query."""
    lookup.database(call, call.text("databaseWebId"))
    terms = query_terms(call, _TEMPLATE_FILTERS)
    every = call.plant.assets.library.analysis_templates.values()
    found = list(filter(query_test(call, terms, _TEMPLATE_FILTERS), every))
    return page(call, sorted(found, key=lambda each: each.name), definitions.analysis_template_json)


@route("GET", "/analysisrules/{web_id}/analysisrules")
def rules_of_rule(call: Call) -> Response:
    """The child rules of a rule: none here."""
    lookup.by_web_id(call, "analysisrules", call.args["web_id"])
    return unpaged(call, [], analyses.analysis_rule_json)


def _every(call: Call) -> list[Analysis]:
    assets = call.plant.assets
    targets = {spec.template for spec in ANALYSES}
    elements = [each for each in assets.below(None) if each.template.name in targets]
    if len(elements) > _MOST_ANALYSES:
        raise refusal(
            400, f"The analyses of {len(elements)} elements are too many for one list; ask by element."
        )
    return [each for element in elements for each in assets.analyses_of(element)]


ANALYSIS_FILTERS = {
    **COMMON_FILTERS,
    "category": Filter(lambda each: each.category_names),
    "template": Filter(lambda each: each.spec.name),
    "plugin": Filter(lambda each: each.spec.plugin),
    "status": Filter(lambda _: "Enabled"),
    "target": Filter(lambda each: [each.element], "nested", inner=ELEMENT_FILTERS),
    "targettemplate": Filter(lambda each: [spec.name for spec in lineage(each.element.template.name)]),
    "creationdate": Filter(lambda each: created(each.element), "time"),
    "modifydate": Filter(lambda each: created(each.element), "time"),
}
_TEMPLATE_FILTERS = {
    **COMMON_FILTERS,
    "category": Filter(lambda each: [each.spec.category]),
    "plugin": Filter(lambda each: each.spec.plugin),
    "targettemplate": Filter(lambda each: each.spec.template),
}
