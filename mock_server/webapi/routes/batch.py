"""`POST /batch`: dependent requests in one call, answered by the same server without sockets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson

from mock_server.plant.checkpoints import begin_query, checkpoint
from mock_server.webapi import json_path
from mock_server.webapi.call import Call
from mock_server.webapi.messages import JSON, Request, Response, framework_refusal, json_response, refusal
from mock_server.webapi.router import PREFIX, no_resource, route
from mock_server.webapi.service import Service

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_PLACE = re.compile(r"\{(\d{1,4})\}")
_MEMBERS = {"Method", "Resource", "RequestTemplate", "Parameters", "ParentIds", "Content", "Headers"}


@dataclass(frozen=True)
class Job:
    """One member of a batch: a request, or with `template` one request for each token that its parameters select."""

    name: str
    method: str
    resource: str
    template: bool
    parameters: list[str]
    parents: list[str]
    content: str
    headers: Mapping[str, str]


@dataclass
class Result:
    """The result of a job; `content` is JSON, parsed only when a later job reads it."""

    status: int
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    _parsed: Any = None

    @property
    def succeeded(self) -> bool:
        """Whether jobs that name this one as parent may run."""
        return 200 <= self.status < 300

    def pieces(self) -> tuple[bytes, ...]:
        """The result as a member of the reply, in pieces that are joined once: contents are large."""
        headers = orjson.dumps(dict(self.headers))
        return b'{"Status":%d,"Headers":%b,"Content":' % (self.status, headers), self.content, b"}"

    def document(self) -> dict[str, Any]:
        """The result as later JSONPaths see it."""
        if self._parsed is None:
            self._parsed = {
                "Status": self.status,
                "Headers": dict(self.headers),
                "Content": orjson.loads(self.content),
            }
        return dict(self._parsed)


@route("POST", "/batch")
def execute(call: Call) -> Response:
    """Run several requests, which may use each other's results."""
    return run(call.server, call.request, call.now)


def run(server: Service, outer: Request, now: int) -> Response:
    """The 207 reply to a batch, whatever the results of its members.

    Raises:
        ApiError: 400, when the body is not a batch.
    """
    jobs = read_jobs(outer.body)
    results: dict[str, Result] = {}
    runner = _Runner(server, outer, now, results)
    for name in _order(jobs):
        results[name] = runner.run(jobs[name])
    pieces = [b"{"]
    for name in jobs:
        pieces += [orjson.dumps(name), b":", *results[name].pieces(), b","]
    body = b"".join([*pieces[:-1], b"}"]) if jobs else b"{}"
    return Response(207, body, sub_requests=runner.sent)


@dataclass
class _Runner:
    server: Service
    outer: Request
    now: int
    results: dict[str, Result]
    sent: int = 0

    def run(self, job: Job) -> Result:
        failed = [parent for parent in job.parents if not self.results[parent].succeeded]
        if failed:
            return _text(409, f"The following ParentIds did not complete successfully: {', '.join(failed)}.")
        try:
            tokens = self._tokens(job)
        except json_path.BadPath as error:
            return _text(400, f"The JSON path is not valid: {error}.")
        empty = [path for path, found in tokens.items() if not found]
        if empty:
            return _text(400, f"Some JSON paths did not select any tokens: {', '.join(empty)}.")
        if job.template:
            return self._run_template(job, tokens)
        several = [path for path, found in tokens.items() if len(found) > 1]
        if several:
            return _text(400, f"Some JSON paths selected more than one token: {', '.join(several)}.")
        return self._send(job, [found[0] for found in tokens.values()], tokens)

    def _run_template(self, job: Job, tokens: dict[str, list[Any]]) -> Result:
        lists = [tokens[path] for path in job.parameters]
        if not lists or len({len(found) for found in lists}) > 1:
            return _text(400, "The Parameters of a RequestTemplate must select the same number of tokens.")
        items = [self._send(job, list(row), tokens) for row in zip(*lists, strict=True)]
        pieces = [piece for item in items for piece in (b",", *item.pieces())]
        return Result(207, b"".join([b'{"Total":%d,"Items":[' % len(items), *pieces[1:], b"]}"]))

    def _tokens(self, job: Job) -> dict[str, list[Any]]:
        """What each JSONPath of the job selects from its parents' results."""
        paths = dict.fromkeys(job.parameters)
        if job.resource.startswith("$"):
            paths[job.resource] = None
        return {path: self._select(path, job.parents) for path in paths}

    def _select(self, path: str, parents: list[str]) -> list[Any]:
        steps = json_path.parse(path)
        first = str(steps[0]) if steps and steps[0] is not None else None
        visible = parents if first is None else [name for name in parents if name == first]
        document = {name: self.results[name].document() for name in visible}
        return json_path.select(document, [first, *steps[1:]])

    def _send(self, job: Job, values: list[Any], tokens: dict[str, list[Any]]) -> Result:
        if job.resource in tokens:
            resource = _as_text(tokens[job.resource][0])
        else:
            filled = _filled(job.resource, values)
            if filled is None:
                return _errors(400, f"The resource '{job.resource}' has a placeholder without a parameter.")
            resource = filled
        return self._request(job, resource)

    def _request(self, job: Job, resource: str) -> Result:
        try:
            parts = urlsplit(resource)
        except ValueError:
            return _errors(400, f"The resource '{resource}' is not a valid URL.")
        if parts.scheme.lower() not in ("http", "https") or not parts.netloc:
            return _errors(400, f"The resource '{resource}' is not an absolute URL.")
        headers = {**self.outer.headers, **{name.lower(): value for name, value in job.headers.items()}}
        request = Request(
            job.method,
            unquote(parts.path, errors="replace"),
            parts.query,
            headers,
            job.content.encode(errors="replace"),
            self.outer.origin,
            client=self.outer.client,
        )
        self.sent += 1
        begin_query()
        checkpoint()
        return _result(_answer(self.server, request, self.now))


def _answer(server: Service, request: Request, now: int) -> Response:
    path = request.path.lower().rstrip("/")
    if path == f"{PREFIX}/batch":
        return refusal(400, "A batch cannot contain a batch.").response
    if path != PREFIX and not path.startswith(f"{PREFIX}/"):
        return no_resource(request).response
    return server.answer_member(request, now)


def _result(response: Response) -> Result:
    headers = {**response.headers, "Content-Type": response.content_type}
    content = response.body if response.content_type == JSON else orjson.dumps(response.body.decode())
    return Result(response.status, content, headers)


def _text(status: int, message: str) -> Result:
    """The result of a job that was not run: a bare string."""
    return Result(status, orjson.dumps(message))


def _errors(status: int, message: str) -> Result:
    return _result(json_response({"Errors": [message]}, status))


def _as_text(token: Any) -> str:
    return token if isinstance(token, str) else orjson.dumps(token).decode()


def _filled(resource: str, values: list[Any]) -> str | None:
    """The resource with `{0}`, `{1}` … replaced; None when a placeholder has no value."""
    if any(int(number) >= len(values) for number in _PLACE.findall(resource)):
        return None
    return _PLACE.sub(lambda match: _as_text(values[int(match[1])]), resource)


def read_jobs(body: bytes) -> dict[str, Job]:
    """The jobs of a batch body, by id.

    Raises:
        ApiError: 400, when the body is not a JSON object of requests.
    """
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise framework_refusal(400, "The request body is not valid JSON.") from error
    if not isinstance(members, dict):
        raise refusal(400, "The request body must be an object that maps ids to requests.")
    return {name: _job(name, member) for name, member in members.items()}


def _job(name: str, member: Any) -> Job:
    if not isinstance(member, dict):
        raise refusal(400, f"The batch member '{name}' must be an object with Method and Resource.")
    if unknown := member.keys() - _MEMBERS:
        raise refusal(400, f"The batch member '{name}' has an unknown property '{min(unknown)}'.")
    template = member.get("RequestTemplate")
    resource = template.get("Resource") if isinstance(template, dict) else member.get("Resource")
    if not isinstance(resource, str) or not resource or (template is not None and "Resource" in member):
        raise refusal(400, f"The batch member '{name}' needs either Resource or RequestTemplate.Resource.")
    method = member.get("Method")
    if not isinstance(method, str) or method.upper() not in _METHODS:
        raise refusal(400, f"The batch member '{name}' needs a Method: {', '.join(_METHODS)}.")
    return Job(
        name,
        method.upper(),
        resource,
        template is not None,
        _strings(name, member, "Parameters"),
        _strings(name, member, "ParentIds"),
        _content(name, member),
        _headers(name, member),
    )


def _strings(name: str, member: dict[str, Any], key: str) -> list[str]:
    value = member.get(key)
    value = [] if value is None else value
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise refusal(400, f"{key} of the batch member '{name}' must be a list of strings.")
    return value


def _content(name: str, member: dict[str, Any]) -> str:
    value = member.get("Content")
    if value is not None and not isinstance(value, str):
        raise refusal(400, f"Content of the batch member '{name}' must be a string that holds JSON.")
    return value or ""


def _headers(name: str, member: dict[str, Any]) -> dict[str, str]:
    value = member.get("Headers")
    value = {} if value is None else value
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise refusal(400, f"Headers of the batch member '{name}' must be an object of strings.")
    return value


def _order(jobs: dict[str, Job]) -> list[str]:
    """The ids, parents before children; 400 when a parent is unknown or the ids form a cycle."""
    for job in jobs.values():
        if unknown := [parent for parent in job.parents if parent not in jobs]:
            raise refusal(400, f"The ParentIds of '{job.name}' do not exist: {', '.join(unknown)}.")
    waiting = {name: set(job.parents) for name, job in jobs.items()}
    ordered: list[str] = []
    while waiting:
        ready = [name for name, parents in waiting.items() if not parents]
        if not ready:
            raise refusal(400, f"The ParentIds form a cycle: {', '.join(waiting)}.")
        ordered += ready
        for name in ready:
            del waiting[name]
        for parents in waiting.values():
            parents.difference_update(ready)
    return ordered
