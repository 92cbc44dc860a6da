"""The HTTP session: retries, headers, sign-in; and what a broken connection says of itself."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import ReadTimeoutError
from urllib3.response import BaseHTTPResponse
from urllib3.util.retry import Retry

from pi_datasource import auth
from pi_datasource.options import Options
from pi_datasource.version import __version__

log = logging.getLogger(__name__)

RETRIED = (429, 500, 502, 503, 504)


class _Retry(Retry):
    """urllib3's retries, but a slow answer is not asked for again: it would be slow again."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> _Retry:
        if isinstance(error, ReadTimeoutError):
            raise error
        return super().increment(method, url, response, error, _pool, _stacktrace)


def session(options: Options, before_retry: Callable[[], None] = lambda: None) -> requests.Session:
    """A session that signs in as the options say and asks again where that may help, after ``before_retry``."""

    class Paced(_Retry):
        """Retries are requests too: they wait for their turn."""

        def sleep(self, response: BaseHTTPResponse | None = None) -> None:
            super().sleep(response)
            before_retry()

    made = requests.Session()
    retry = Paced(
        total=options.max_retries,
        connect=min(3, options.max_retries),  # a wrong address should be told within seconds
        backoff_factor=0.5,
        backoff_max=30,
        backoff_jitter=0.3,
        status_forcelist=RETRIED,
        allowed_methods=None,  # a batch of GETs is as safe to repeat as a GET
        raise_on_status=False,
    )
    adapter = HTTPAdapter(max_retries=retry, pool_maxsize=4)
    made.mount("https://", adapter)
    made.mount("http://", adapter)
    # PI refuses a POST without X-Requested-With (reference: authentication and transport).
    made.headers.update(
        {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": f"pi-datasource/{__version__}",
            "X-Requested-With": "pi-datasource",
        }
    )
    made.auth = auth.authentication(options)
    if not options.verify_tls:
        log.warning("the certificate of %s is not checked: verify_tls is false", options.url)
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return made


def reason(error: BaseException) -> str:
    """The innermost cause in a few words; transport errors wrap each other many times."""
    while True:
        held = (getattr(error, "reason", None), *error.args, error.__cause__)
        inner = next((part for part in held if isinstance(part, BaseException)), None)
        if inner is None:
            return f"{type(error).__name__}: {error}"
        error = inner
