# shellcheck shell=bash
# What the scripts share: how a step is shown, how a run is stopped, how a failure is explained.
# The script that sources this file has set ROOT, the absolute path of the checkout.

VENV="$ROOT/.venv"
PYTHON="$VENV/bin/python"
LOG="$ROOT/build/logs/bootstrap.log"
CHILD=""
SPINNER=""
ADVICE="" # what else to say if the next step fails

say() { printf '%s\n' "$*" >&2; }

die() {
  say ""
  say "$1"
  shift
  for line in "$@"; do say "  $line"; done
  exit 1
}

# Settings of another Spark or another Python must not leak into this environment: PYTHONPATH=src, for
# one, would let tests import the source tree instead of the installed wheel.
isolate() {
  unset PYTHONPATH PYTHONHOME PYTHONSTARTUP SPARK_HOME SPARK_CONF_DIR SPARK_ENV_LOADED
  unset PYSPARK_PYTHON PYSPARK_DRIVER_PYTHON PYSPARK_SUBMIT_ARGS VIRTUAL_ENV CDPATH
  # An activated environment would otherwise be the base of its own successor.
  PATH=":$PATH:"
  PATH="${PATH//":$VENV/bin:"/:}"
  PATH="${PATH#:}"
  PATH="${PATH%:}"
}

# For Spark programs that live for minutes: optimising their code takes longer than running it as it is.
# The code cache is by default too small for all of Spark when the JVM does not optimise; full, it stops all compiling.
# The serial collector takes the least time where little is to be collected.
# short_lived_spark [MORE OPTIONS OF spark-submit]
short_lived_spark() {
  export PYSPARK_SUBMIT_ARGS="--driver-java-options '-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC' \
$* pyspark-shell"
}

# What the environment installs is called by name from here on.
use_environment() { export PATH="$VENV/bin:$PATH"; }

# Runs a command as its own process group, so that stopping this script ends everything below it.
run_group() {
  local status=0
  set -m
  "$@" </dev/null &
  CHILD=$!
  set +m
  wait "$CHILD" || status=$?
  CHILD=""
  return "$status"
}

# An interrupt first: pip and pytest tidy up after one. Whatever ignores it is ended.
stop_child() {
  local group="$CHILD" tries
  CHILD=""
  [ -n "$group" ] || return 0
  for signal in INT TERM KILL; do
    kill -s "$signal" -- "-$group" 2>/dev/null || return 0
    for ((tries = 0; tries < ${PATIENCE:-25}; tries++)); do
      kill -0 -- "-$group" 2>/dev/null || return 0
      sleep 0.2
    done
  done
}

stop_spinner() {
  [ -n "$SPINNER" ] || return 0
  kill "$SPINNER" 2>/dev/null || true
  wait "$SPINNER" 2>/dev/null || true
  SPINNER=""
  printf '\r\033[K' >&2
}

on_exit() { :; } # a script with more to tidy up redefines this

finish() {
  local status=$?
  trap '' INT TERM HUP
  stop_spinner
  stop_child
  on_exit
  exit "$status"
}

watch_signals() {
  trap finish EXIT
  trap 'say ""; say "stopped"; exit 130' INT
  trap 'exit 143' TERM
  trap 'exit 129' HUP
}

animated() { [ -t 2 ] && [ "${TERM:-dumb}" != dumb ] && [ -z "${CI:-}" ]; }

spin() {
  local label="$1" started="$2" frames='|/-\' i=0
  trap - EXIT INT TERM HUP
  while kill -0 $$ 2>/dev/null; do
    printf '\r  %s %s %ds ' "${frames:i++%4:1}" "$label" "$((SECONDS - started))" >&2
    sleep 0.2
  done
}

# step LABEL COMMAND...: one line per step; what the command prints goes to the log.
step() {
  local label="$1" started=$SECONDS status=0 mark
  shift
  mkdir -p "$(dirname "$LOG")"
  printf '\n== %s\n' "$label" >>"$LOG"
  mark=$(wc -l <"$LOG")
  if animated; then
    spin "$label" "$started" &
    SPINNER=$!
  fi
  run_group "$@" >>"$LOG" 2>&1 || status=$?
  stop_spinner
  if [ "$status" -eq 0 ]; then
    printf '  %-58s %4ds\n' "$label" "$((SECONDS - started))" >&2
  else
    printf '  %-58s FAILED after %ds\n' "$label" "$((SECONDS - started))" >&2
    explain "$mark"
    exit 1
  fi
}

# explain LINE: the end of the failed step's log (from LINE on), then what is missing and what to do.
explain() {
  local text
  text="$(tail -n "+$(($1 + 1))" "$LOG")"
  say ""
  printf '%s\n' "$text" | tail -n 15 | cut -c1-300 | sed 's/^/    /' >&2
  say ""
  say "The whole log is in $LOG"
  case "$text" in
    *"No space left on device"* | *"Disk quota exceeded"*)
      say "The disk is full. The environment needs about 3 GB; free some and run this again." ;;
    *"Permission denied"* | *"Read-only file system"*)
      say "A file could not be written. Run this as the owner of $ROOT, or in a clone of your own." ;;
    *CERTIFICATE_VERIFY_FAILED* | *"PKIX path building failed"* | *SSLCertVerificationError*)
      say "The server's certificate is not trusted. Behind an own certificate authority, set SSL_CERT_FILE and"
      say "PIP_CERT to its bundle (PEM) and run this again." ;;
    *"Temporary failure in name resolution"* | *"Name or service not known"* | *"nodename nor servname"* | \
      *"Network is unreachable"* | *"Connection refused"* | *"timed out"* | *UnknownHostException* | \
      *NewConnectionError* | *ConnectTimeout* | *"Could not find a version that satisfies"* | *"No matching distribution"* | \
      *"UNRESOLVED DEPENDENCIES"* | *"Server access error"* | *ProxyError*)
      say "Looks like no network, or a package index that cannot be reached: the first run downloads packages."
      say "Connect, or set what pip needs here (PIP_INDEX_URL, HTTPS_PROXY), and run this again; later runs need none." ;;
    *) say "Run this again; if it fails the same way, remove .venv and run it once more." ;;
  esac
  [ -z "$ADVICE" ] || say "$ADVICE"
}
