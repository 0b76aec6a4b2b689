# Daemons whose ports are net_memif, without any interface of the kernel under them, for tools/bench memif and flood; sourced by their parts.
# shellcheck shell=bash
load=$bin/bench/service/memif_load
[ -x "$load" ] || { echo "tools/bench: $load is not built (-Dbenches=true)" >&2; exit 1; }
# 1,024 descriptors: larger rings do not stay in the caches.
rings=rsize=10,bsize=2048
cpus=0-$(($(nproc) - 1))
memif() { # number of the device, role, socket, more parameters: a vdev
  echo "net_memif$1,role=$2,id=1,socket=$work/$3.sock,socket-abstract=no,$rings${4:+,$4}"
}
# A planet of `root`, who is the controller, too, and a member `other`; both are bridges of $network.
memif_pair() { # root, other
  local s
  for s in "$@"; do
    ip netns add "$prefix-$s"
    spaces+=("$prefix-$s")
    ns "$s" ip link set lo up
    mkdir -p "$work/$s"
    new_identity "$s"
  done
  network=$(address_of "$1")000001
  "$bin/orrery" planet create "$work/$1.planet" "$work/$1/identity.public=10.75.0.1/9993" >/dev/null
  for s in "$@"; do cp "$work/$1.planet" "$work/$s/planet"; done
}
memif_configure() { # name, number in its addresses, memif role and socket of the underlay
  cat >"$work/$1/orrery.toml" <<TOML
[underlay]
sockets = false
[[underlay.port]]
device = "$(memif 0 "$3" "$4" "mac=02:75:00:00:00:0$2")"
mirror = "orr-wan0"
addresses = ["10.75.0.$2/24"]
TOML
}
memif_bridge() { # name, number, socket
  cat >>"$work/$1/orrery.toml" <<TOML
[[bridge]]
device = "$(memif 1 server "$3" "mac=02:76:00:00:00:0$2")"
network = "$network"
loop_guard = false # a generator stands for the LAN
TOML
}
memif_serve() { # root, other
  local s
  printf '[controller]\nenabled = true\n' >>"$work/$1/orrery.toml"
  ours "$1"
  wait_for 30 cli "$1" info || { echo "tools/bench: the root does not come up: $(tail -n 2 "$work/$1.log")" >&2; exit 1; }
  cli "$1" controller network "$network" --set '{"name":"bench","private":true,"mtu":1500,"v4AssignMode":{"zt":false}}' >/dev/null
  for s in "$@"; do
    cli "$1" controller member "$network" "$(address_of "$s")" --set '{"authorized":true,"activeBridge":true,"noAutoAssignIps":true}' >/dev/null
  done
  ours "$2"
}
# Dropped by daemons for whatever reason, their ports included; what belongs to the LAN that it came from does not count.
dropped() { # name...
  local s sum=0
  for s in "$@"; do
    sum=$((sum + $(cli "$s" -j drops | jq '[.worker | del(.local) | .[]] | add') + $(cli "$s" -j ports | jq '[.. | objects | (.rxDropped // 0) + (.txDropped // 0)] | add')))
  done
  echo "$sum"
}
direct_between() { cli "$1" -j peers | jq -e --arg a "$(address_of "$2")" 'any(.[]; .address == $a and any(.paths[]; .active))'; }

# One daemon, "gate", between two memif ports: bench/service/memif_load sends into its LAN, takes what it encrypts off its underlay, and carries
# what it says to a second daemon, "far", which has next to nothing to do.
one_daemon() {
  local line failed="tools/bench: one daemon between memif ports"
  memif_pair far gate
  memif_configure far 1 server far
  memif_configure gate 2 server near
  memif_bridge gate 2 lan
  memif_serve far gate
  cli far join "$network" >/dev/null
  wait_for 30 joined far "$network" || { echo "$failed: no configuration at the root" >&2; exit 1; }
  wait_for 10 test -S "$work/lan.sock" && wait_for 10 test -S "$work/near.sock" || { echo "$failed: no sockets: $(tail -n 2 "$work/gate.log")" >&2; exit 1; }
  coproc generator { exec "$load" --mac "$(cli far -j listnetworks | jq -r '.[0].mac')" --to 10.75.0.2/9993 --to-mac 02:75:00:00:00:02 --node "$(address_of gate)" \
    --as "$work/far/identity.public" -- --lcores "0@($cpus)" --no-huge --no-shconf -m 256 --no-pci --no-telemetry --file-prefix "$prefix-load" \
    --vdev "$(memif 0 client lan)" --vdev "$(memif 1 client near)" --vdev "$(memif 2 client far)" 2>&1; }
  while read -r -t 30 -u "${generator[0]}" line; do [ "$line" != ready ] || break; done
  [ "${line:-}" = ready ] || { echo "$failed: memif_load does not start" >&2; exit 1; }
  wait_for 30 joined gate "$network" && wait_for 10 direct_between gate far || { echo "$failed: no path" >&2; exit 1; }
}
ask_load() { # a command of memif_load: its answer
  local answer
  echo "$1" >&"${generator[1]}"
  read -r -t $((seconds + 10)) -u "${generator[0]}" answer || { echo "tools/bench: memif_load says nothing" >&2; exit 1; }
  echo "$answer"
}
one_daemon_ends() {
  kill "$generator_PID" 2>/dev/null
  stop gate
  stop far
}
