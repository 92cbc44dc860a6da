# shellcheck shell=bash
# Finds a Python that can make the environment.

REJECTED="" # one line per interpreter that was found and why it will not do

# 3.11 first: it is the version the pinned set is used with most.
python_candidates() {
  local version
  if [ -n "${PI_PYTHON:-}" ]; then
    printf '%s\n' "$PI_PYTHON"
    return
  fi
  for version in 3.11 3.12 3.13 3.10; do printf 'python%s\n' "$version"; done
  printf 'python3\npython\n'
  for version in 3.11 3.12 3.13 3.10; do
    ls -d "/usr/bin/python$version" "/usr/local/bin/python$version" "/opt/homebrew/bin/python$version" \
      "${PYENV_ROOT:-${HOME:-/nonexistent}/.pyenv}/versions/$version".*/bin/python 2>/dev/null || true
  done
}

# Prints "ok", or why this interpreter will not do. It is really run: a version manager's shim may be on
# PATH and still refuse to start.
judge_python() {
  "$1" -I - 2>/dev/null <<'PY' || printf 'does not start\n'
import sys
if sys.version_info < (3, 10):
    print("is Python %d.%d: too old" % sys.version_info[:2])
else:
    try:
        import ctypes, ensurepip, ssl, venv
        print("ok")
    except ImportError as error:
        name = error.name if error.name != "ensurepip" else "venv"
        print("has no %s module (Debian, Ubuntu: apt install python%d.%d-venv)" % ((name,) + sys.version_info[:2]))
PY
}

# Sets BASE_PYTHON to the first that will do, or ends the run with what was found instead.
find_python() {
  local candidate found verdict
  while IFS= read -r candidate; do
    found="$(command -v "$candidate" 2>/dev/null)" || continue
    verdict="$(judge_python "$found")"
    if [ "$verdict" = ok ]; then
      BASE_PYTHON="$found"
      return 0
    fi
    REJECTED="$REJECTED$found $verdict"$'\n'
  done < <(python_candidates)
  say ""
  say "No Python that will do: 3.10 or newer (tested to 3.13) with its venv module is needed."
  if [ -n "$REJECTED" ]; then
    printf '%s' "$REJECTED" | sort -u | sed 's/^/  found: /' >&2
  elif [ -n "${PI_PYTHON:-}" ]; then
    say "  PI_PYTHON=$PI_PYTHON is not there."
  else
    say "  None was found on PATH."
  fi
  say "  Install one (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python@3.12),"
  say "  or name it: PI_PYTHON=/path/to/python3.12 $0"
  exit 1
}
