"""Error pages of the servers around PI Web API: HTTP.sys below it, IIS or nginx in front of it."""

from collections.abc import Mapping
from http import HTTPStatus

from mock_server.webapi.messages import Response

HTML = "text/html; charset=us-ascii"
_HTTP_SYS = """<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN""http://www.w3.org/TR/html4/strict.dtd">\r
<HTML><HEAD><TITLE>{phrase}</TITLE>\r
<META HTTP-EQUIV="Content-Type" Content="text/html; charset=us-ascii"></HEAD>\r
<BODY><h2>{heading}</h2>\r
<hr><p>HTTP Error {status}. {text}</p>\r
</BODY></HTML>\r
"""
_NGINX = """<html>\r
<head><title>{status} {phrase}</title></head>\r
<body>\r
<center><h1>{status} {phrase}</h1></center>\r
<hr><center>nginx</center>\r
</body>\r
</html>\r
"""
_IIS = """<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">
<html xmlns="http://www.w3.org/1999/xhtml">
<head><title>IIS 10.0 Detailed Error - {error} - {phrase}</title></head>
<body><div id="content"><h3>HTTP Error {error} - {phrase}</h3><h4>{text}</h4></div></body>
</html>
"""
_SIGN_IN = "<html><head><title>Sign in</title></head><body><h1>Company portal</h1><form></form></body></html>"


def http_sys(status: int, heading: str, text: str) -> Response:
    """A page of HTTP.sys, the part of Windows that PI Web API listens through."""
    phrase = HTTPStatus(status).phrase
    return _page(status, _HTTP_SYS.format(status=status, phrase=phrase, heading=heading, text=text), HTML)


def nginx(status: int, phrase: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """A page of nginx, as a stand-in for any proxy."""
    body = _NGINX.format(status=status, phrase=phrase or HTTPStatus(status).phrase)
    return _page(status, body, "text/html", headers)


def iis(error: str, text: str) -> Response:
    """A page of IIS; `error` is a status with its sub-status, such as 404.14."""
    status = int(error.partition(".")[0])
    return _page(status, _IIS.format(error=error, phrase=HTTPStatus(status).phrase, text=text), HTML)


def portal() -> Response:
    """The sign-in page of a proxy, with status 200."""
    return _page(200, _SIGN_IN, "text/html; charset=utf-8")


def _page(status: int, body: str, kind: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, body.encode("ascii"), kind, headers or {})
