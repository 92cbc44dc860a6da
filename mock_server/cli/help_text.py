"""The text of `--help` after the options."""

from mock_server.server.fault_kinds import KINDS
from mock_server.server.faults import PROFILES

_KINDS = "\n".join(f"    {key + '*' if kind.member else key:16}{kind.about}" for key, kind in KINDS.items())
EPILOG = f"""\
examples:
  python -m mock_server                                128 points on port 8010, no sign-in
  python -m mock_server --port 0 --tags 1000000        a million points on a free port
  python -m mock_server --user pi --password secret    with Basic authentication
  python -m mock_server --tls --tls-ca authority.pem   https; clients trust authority.pem
  python -m mock_server --client-id spark --client-secret s3cret --token-lifetime 60
                                                       bearer tokens valid for a minute
  python -m mock_server --rate-limit 1000 --faults 7   the limit of a real server, and faults
  python -m mock_server --faults 7:cut=0.1,member.503=0.05 --admin
                                                       chosen faults, which can be changed at run time
  python -m mock_server --changes 0.02 --churn 24      late, edited and deleted events, and changing tags
  python -m mock_server --now 2024-01-01 --speed 60    a clock that starts elsewhere and runs faster
  python -m mock_server --data export.csv              your own data
  python -m mock_server oracle --help                  print the exact events of a window

The events are a pure function of seed, tag and time: nothing is stored, and a second server with the same
seed, tags, plants and history start holds the same data.

faults (--faults SEED[:PROFILE]):
  PROFILE is one of {", ".join(PROFILES)}, or a list NAME=SHARE,NAME=SHARE; the default
  is flaky. Faults are a pure function of SEED, the request and the number of its attempts. A failing request
  succeeds after at most --fault-tries attempts. The prefix "member." applies a fault to requests within a
  batch; those marked with * can occur there.
{_KINDS}

access log (--access-log FILE), one line per request with columns separated by blanks:
  method, address, status (0: not answered), bytes, time of receipt (UTC), number of requests in a batch,
  fault (-: none)
"""
