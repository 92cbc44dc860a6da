"""Event frames: lists by database, element and parent, searches, and related objects."""

from mock_server.af.attributes import attributes_of
from mock_server.af.declarations import SEVERITIES
from mock_server.af.event_frame import Frame
from mock_server.af.event_frames import RangeTooLarge
from mock_server.af.library import lineage
from mock_server.af.search import COMMON_FILTERS, BadQuery, Filter, Term, instant_of
from mock_server.plant import ticks
from mock_server.plant.checkpoints import paced, paced_sort
from mock_server.webapi.af import lookup, replies
from mock_server.webapi.af.event_frame_search import frame_filters, has_own_order, search_frames, too_large
from mock_server.webapi.af.event_frames import annotation_json, frame_json
from mock_server.webapi.af.lists import Test, by_name, by_value, flag, ordered, page, query_terms, query_test
from mock_server.webapi.call import Call
from mock_server.webapi.messages import Response, refusal
from mock_server.webapi.router import route
from mock_server.webapi.routes.attributes import attributes_page
from mock_server.webapi.routes.elements import ELEMENT_FILTERS

_LAST_CHANGE = 241 * 60 * ticks.PER_SECOND  # the last acknowledgement or annotation after a start


@route("GET", "/assetdatabases/{web_id}/eventframes")
def frames_of_database(call: Call) -> Response:
    """The event frames of a database; those without a parent, or with `searchFullHierarchy` all."""
    lookup.database(call, call.args["web_id"])
    sources = call.plant.frames.sources()
    phases = flag(call, "searchFullHierarchy")
    return _listed(call, search_frames(call, sources, frame_filters(call), phases=phases))


@route("GET", "/elements/{web_id}/eventframes")
def frames_of_element(call: Call) -> Response:
    """The event frames that refer to an element."""
    element = lookup.element(call, call.args["web_id"])
    sources = call.plant.frames.sources_of(element)
    passes = frame_filters(call)
    test: Test = lambda frame: element in frame.elements and passes(frame)  # noqa: E731 - two tests as one
    return _listed(call, search_frames(call, sources, test, phases=True))


@route("GET", "/eventframes/search")
def frames_search(call: Call) -> Response:
    """The event frames of a database that satisfy an AFSearch query."""
    lookup.database(call, call.text("databaseWebId"))
    terms = query_terms(call, FRAME_FILTERS)
    test = query_test(call, terms, FRAME_FILTERS)
    home = call.plant.frames
    try:
        low, high = _range_of(terms, call.now)
        found = home.overlapping(home.sources(), low, high, call.now)
    except BadQuery as error:
        raise refusal(400, str(error)) from error
    except RangeTooLarge as error:
        raise too_large() from error
    members = [each for frame in paced(found) for each in (frame, *frame.children) if test(each)]
    return page(call, paced_sort(members, _by_name), frame_json)


@route("GET", "/eventframes/{web_id}/eventframes")
def frames_of_frame(call: Call) -> Response:
    """The children of an event frame that match the times and filters."""
    parent = lookup.frame(call, call.args["web_id"])
    passes = frame_filters(call)
    test: Test = lambda frame: frame.root == parent and passes(frame)  # noqa: E731 - two tests as one
    return _listed(call, search_frames(call, [parent.point], test, phases=True))


@route("GET", "/eventframes/{web_id}/annotations")
def annotations(call: Call) -> Response:
    """The annotations of an event frame."""
    frame = lookup.frame(call, call.args["web_id"])
    return call.items(annotation_json(call, frame, note) for note in frame.notes)


@route("GET", "/eventframes/{web_id}/annotations/{id}")
def annotation(call: Call) -> Response:
    """One annotation of an event frame."""
    frame = lookup.frame(call, call.args["web_id"])
    for note in frame.notes:
        if str(note.guid) == call.args["id"].lower():
            return call.reply(annotation_json(call, frame, note))
    raise refusal(404, f"The annotation '{call.args['id']}' was not found.")


@route("GET", "/eventframes/{web_id}/referencedelements")
def referenced_elements(call: Call) -> Response:
    """The elements an event frame references, the primary one first."""
    elements = lookup.frame(call, call.args["web_id"]).elements
    return call.items(replies.element_json(call, each) for each in elements)


@route("GET", "/assetdatabases/{web_id}/eventframeattributes")
def attributes_of_frames(call: Call) -> Response:
    """Attributes across the event frames of a database."""
    lookup.database(call, call.args["web_id"])
    sources = call.plant.frames.sources()
    template = call.text("eventFrameTemplate").lower()
    tests: list[Test] = [
        by_name(call, "eventFrame"),
        by_value(call, "eventFrameCategory", lambda frame: frame.category_names),
        lambda frame: not template or replies.is_kind_of(frame.template, template),
    ]
    phases = flag(call, "searchFullHierarchy")
    found = search_frames(call, sources, lambda frame: all(test(frame) for test in tests), phases=phases)
    return attributes_page(call, [each for frame in paced(found) for each in attributes_of(frame)])


def _listed(call: Call, found: list[Frame]) -> Response:
    keys = {
        "Name": _by_name,
        "Type": lambda frame: (frame.template.name, *_by_name(frame)),
        "StartTime": lambda frame: (frame.start, *_by_name(frame)),
        "EndTime": lambda frame: (frame.end, *_by_name(frame)),
    }
    return page(call, found if has_own_order(call) else ordered(call, found, keys), frame_json)


def _by_name(frame: Frame) -> tuple[str, int, int]:
    """A sort key; phases share their names, so that start and point decide."""
    return frame.name.lower(), frame.start, frame.point.index


def _range_of(terms: list[Term], now: int) -> tuple[int, int]:
    """A time range that contains every frame that can satisfy the terms."""
    low, high = ticks.FIRST, now
    for term in terms:
        kind = FRAME_FILTERS[term.field].kind
        if term.field == "inprogress" and term.operator == "=" and term.values[0].lower() == "true":
            low = now
        if kind != "time" or len(term.values) > 1 or term.operator == "<>":
            continue
        at = instant_of(term.values[0], now)
        if term.operator in (">", ">=", "="):
            low = max(low, at - (_LAST_CHANGE if term.field == "modifydate" else 0))
        if term.operator in ("<", "<=", "="):
            high = min(high, at)
    return low, high


FRAME_FILTERS: dict[str, Filter] = {
    **COMMON_FILTERS,
    "category": Filter(lambda each: each.category_names),
    "template": Filter(lambda each: [spec.name for spec in lineage(each.template.name)]),
    "start": Filter(lambda each: each.start, "time"),
    "starttime": Filter(lambda each: each.start, "time"),
    "end": Filter(lambda each: each.end, "time"),
    "endtime": Filter(lambda each: each.end, "time"),
    "inprogress": Filter(lambda each: each.is_open, "flag"),
    "severity": Filter(lambda each: each.severity, scale=SEVERITIES),
    "isacknowledged": Filter(lambda each: each.acknowledged is not None, "flag"),
    "canbeacknowledged": Filter(lambda each: each.can_be_acknowledged, "flag"),
    "isannotated": Filter(lambda each: bool(each.notes), "flag"),
    "element": Filter(lambda each: each.elements, "nested", inner=ELEMENT_FILTERS),
    "elementname": Filter(lambda each: [element.name for element in each.elements]),
    "creationdate": Filter(lambda each: each.start, "time"),
    "modifydate": Filter(lambda each: each.modified, "time"),
    "alldescendants": Filter(lambda each: each.root is None, "scope"),
}
