# shellcheck shell=bash
# One bootstrap per checkout at a time: two would install into the same environment.

LOCK="$ROOT/build/bootstrap.lock"
LOCK_DIR=""

take_lock() {
  mkdir -p "$ROOT/build"
  if command -v flock >/dev/null 2>&1; then
    exec 9>"$LOCK"
    if ! flock -n 9; then
      say "  another set-up of this checkout is running; waiting for it"
      flock 9
    fi
  else
    take_lock_dir "$LOCK.d"
  fi
}

# Without flock (macOS) a directory is the lock: mkdir is atomic, and the process id in it tells a lock
# that was left behind from one that is held.
take_lock_dir() {
  local waited="" holder
  while ! mkdir "$1" 2>/dev/null; do
    holder="$(cat "$1/pid" 2>/dev/null || true)"
    if [ -n "$holder" ] && ! ps -p "$holder" >/dev/null 2>&1; then
      drop_stale_lock "$1" "$holder"
      continue
    fi
    [ -n "$waited" ] || say "  another set-up of this checkout is running; waiting for it"
    waited=yes
    sleep 0.5
    # A holder killed between mkdir and writing its id leaves an empty lock.
    if [ -z "$holder" ] && [ -n "$(find "$1" -maxdepth 0 -mmin +1 2>/dev/null)" ]; then
      drop_stale_lock "$1" ""
    fi
  done
  LOCK_DIR="$1"
  printf '%s\n' "$$" >"$1/pid"
}

# Moved aside first: of two that wait, one move succeeds. The other may then catch a fresh lock; it sees
# another id in it and puts it back.
drop_stale_lock() {
  local aside="$1.stale.$$"
  mv "$1" "$aside" 2>/dev/null || return 0
  if [ "$(cat "$aside/pid" 2>/dev/null || true)" = "$2" ]; then
    rm -rf "$aside"
  else
    mv "$aside" "$1" 2>/dev/null || rm -rf "$aside"
  fi
}

release_lock() {
  [ -z "$LOCK_DIR" ] || rm -rf "$LOCK_DIR"
  LOCK_DIR=""
}
