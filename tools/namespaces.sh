# Namespaces with one switch between them, for tools/lab and tools/bench. Source it, set `prefix` first; cleanup runs on exit.
# shellcheck shell=bash
spaces=() pids=()
work=$(mktemp -d "/tmp/$prefix.XXXXXX")
cleanup() {
  trap - EXIT INT TERM
  for p in "${pids[@]:-}"; do [ -z "$p" ] || kill "$p" 2>/dev/null || true; done
  for p in "${pids[@]:-}"; do [ -z "$p" ] || wait "$p" 2>/dev/null || true; done
  for s in "${spaces[@]:-}"; do
    [ -n "$s" ] || continue
    ip netns pids "$s" 2>/dev/null | xargs -r kill -9 2>/dev/null || true
    ip netns del "$s" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap cleanup EXIT
trap 'echo; echo "interrupted, cleaning up"; exit 130' INT TERM

ns() { ip netns exec "$prefix-$1" "${@:2}"; }
space() { # name address/bits: a namespace on the switch
  ip netns add "$prefix-$1"
  spaces+=("$prefix-$1")
  ns "$1" ip link set lo up
  if [ "$1" = wan ]; then
    ns wan ip link add wan type bridge
    ns wan ip link set wan up
    # A switch has no firewall; where the kernel's has one, it is on unless told otherwise.
    ns wan sysctl -qw net.bridge.bridge-nf-call-{iptables,ip6tables,arptables}=0 2>/dev/null || true
    return
  fi
  ip link add wan0 netns "$prefix-$1" type veth peer name "p-$1" netns "$prefix-wan"
  ns wan ip link set "p-$1" master wan up
  ns "$1" ip addr add "$2" dev wan0
  ns "$1" ip link set wan0 up
}
wait_for() { # seconds, command...: true when the command succeeded in time
  local end=$((SECONDS + $1))
  shift
  while [ "$SECONDS" -le "$end" ]; do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.2
  done
  return 1
}
# Daemons: `ours` runs orreryd, `stock` the given zerotier-one; both keep their home in $work/<name>.
ours() {
  (exec ip netns exec "$prefix-$1" "$bin/orreryd" --home "$work/$1") >>"$work/$1.log" 2>&1 &
  pids+=($!)
  eval "pid_$1=$!"
}
lingers() { ns "$1" ss -Htan "sport = :$2" | grep -q .; }
free() { ! lingers "$@"; }
stock() {
  # Its API takes no port on which closed connections of another program still linger (a minute): a member begins on another port, a
  # root has to wait. Once begun it keeps its port: peers find it there after a restart.
  local udp_port=9993
  if [ -s "$work/$1/zerotier-one.port" ]; then
    udp_port=$(cat "$work/$1/zerotier-one.port")
  elif [ "$1" = root ]; then
    wait_for 70 free root 9993
  else
    while lingers "$1" "$udp_port"; do udp_port=$((udp_port + 1)); done
  fi
  (exec ip netns exec "$prefix-$1" "$peer" -U "-p$udp_port" "$work/$1") >>"$work/$1.log" 2>&1 &
  pids+=($!)
  eval "pid_$1=$!"
}
stop() {
  local p="pid_$1"
  kill "${!p}" 2>/dev/null || true
  wait "${!p}" 2>/dev/null || true
}
cli() { # works on both kinds of home
  ns "$1" "$bin/orrery" -D "$work/$1" "${@:2}"
}
online() { cli "$1" info | grep -q ONLINE; }
joined() { cli "$1" listnetworks | grep -q "$2 .* OK "; }
ip4_of() { cli "$1" get "$2" ip4 | head -n 1; }
ip6_of() { cli "$1" get "$2" ip6 | grep -v '^fc' | head -n 1; }
new_identity() { "$bin/orrery" identity generate "$work/$1/identity.secret" "$work/$1/identity.public" >/dev/null; }
address_of() { cut -c1-10 "$work/$1/identity.public"; }
