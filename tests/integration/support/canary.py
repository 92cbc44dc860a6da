"""Secrets that must never be seen again: every test with a password or token uses these."""

from __future__ import annotations

import base64

USER = "svc-spark"
PASSWORD = "canary-päss-71c3"
TOKEN = "canary-token-5e8f"
WRONG = "canary-wrong-02ab"
GATE_USER = "gate"
GATE_PASSWORD = "canary-gate-90d4"
CLIENT_ID = "spark"
CLIENT_SECRET = "canary-client-6b27"
KEY_PASSWORD = "canary-key-3a18"
ENVIRONMENT = {"PI_TEST_PASSWORD": PASSWORD, "PI_TEST_TOKEN": TOKEN}  # where workers find them as env:NAME

_FORMS = [
    "canary-",
    *(
        base64.b64encode(text.encode()).decode().rstrip("=")
        for user, secret in (
            (USER, PASSWORD),
            (USER, WRONG),
            (GATE_USER, GATE_PASSWORD),
            (CLIENT_ID, CLIENT_SECRET),
            ("", KEY_PASSWORD),
        )
        for text in (secret, f"{user}:{secret}")
    ),
]


def leaks(text: str) -> list[str]:
    """The secrets that ``text`` holds, as it is or as HTTP sends them."""
    return [form for form in _FORMS if form in text]
