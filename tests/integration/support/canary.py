"""Secrets that must never be seen again: every test with a password or token uses these."""

from __future__ import annotations

import base64

USER = "svc-spark"
PASSWORD = "canary-päss-71c3"
TOKEN = "canary-token-5e8f"
WRONG = "canary-wrong-02ab"
ENVIRONMENT = {"PI_TEST_PASSWORD": PASSWORD, "PI_TEST_TOKEN": TOKEN}  # where workers find them as env:NAME

_FORMS = [
    "canary-",
    *(
        base64.b64encode(text.encode()).decode().rstrip("=")
        for secret in (PASSWORD, WRONG)
        for text in (secret, f"{USER}:{secret}")
    ),
]


def leaks(text: str) -> list[str]:
    """The secrets that ``text`` holds, plainly or as HTTP sends them."""
    return [form for form in _FORMS if form in text]
