# The part of tools/bench that is called memif; sourced by it. Two scenes without any interface of the kernel under them.
#
# One daemon between two memif ports: bench/service/memif_load sends into its LAN, takes what it encrypts off its underlay, and carries what
# it says to a second daemon besides the load, which has next to nothing to do. Two daemons: what dpdk-testpmd sends into the LAN of one comes
# out of the LAN of the other and goes round.
# shellcheck shell=bash
command -v dpdk-testpmd >/dev/null || { echo "tools/bench memif: needs dpdk-testpmd (Debian: dpdk-dev)" >&2; exit 1; }
load=$bin/bench/service/memif_load
[ -x "$load" ] || { echo "tools/bench memif: $load is not built (-Dbenches=true)" >&2; exit 1; }
# 1,024 descriptors: larger rings do not stay in the caches.
rings=rsize=10,bsize=2048
cpus=0-$(($(nproc) - 1))
memif() { # number of the device, role, socket, more parameters: a vdev
  echo "net_memif$1,role=$2,id=1,socket=$work/$3.sock,socket-abstract=no,$rings${4:+,$4}"
}
# A planet of `root`, who is the controller, too, and a member `other`; both are bridges of $network.
pair() { # root, other
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
configure() { # name, number in its addresses, memif role and socket of the underlay
  cat >"$work/$1/orrery.toml" <<TOML
[underlay]
sockets = false
[[underlay.port]]
device = "$(memif 0 "$3" "$4" "mac=02:75:00:00:00:0$2")"
mirror = "orr-wan0"
addresses = ["10.75.0.$2/24"]
TOML
}
bridge() { # name, number, socket
  cat >>"$work/$1/orrery.toml" <<TOML
[[bridge]]
device = "$(memif 1 server "$3" "mac=02:76:00:00:00:0$2")"
network = "$network"
loop_guard = false # a generator stands for the LAN
TOML
}
serve() { # root, other
  local s
  printf '[controller]\nenabled = true\n' >>"$work/$1/orrery.toml"
  ours "$1"
  wait_for 30 cli "$1" info || { echo "memif: the root does not come up: $(tail -n 2 "$work/$1.log")" >&2; exit 1; }
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
rows=
# The largest rate without loss: the window grows until frames are dropped. `try SIZE WINDOW` sets packets and lost.
search() { # scene, what of it runs, windows
  local size window best best_window rate gbit scene=$1 try=$2
  for size in ${sizes:-64 128 256 512 1024 1400}; do
    best=0 best_window=0
    "$try" "$size" 0
    for window in $3; do
      "$try" "$size" "$window"
      [ "$lost" -eq 0 ] || break # a larger window would lose more
      rate=$(jq -n "$packets / $seconds / 1e6 * 1000 | round / 1000")
      if jq -en "$rate > $best" >/dev/null; then best=$rate best_window=$window; fi
    done
    gbit=$(jq -n "$best * $size * 8 / 1000 * 100 | round / 100")
    printf '%-14s %6s %8s %8s %8s\n' "$scene" "$size" "$best_window" "$best" "$gbit"
    local params="{\"scene\": \"$scene\", \"bytes\": $size, \"window\": $best_window, \"seconds\": $seconds}"
    rows+="$(row "rate without loss" "$params" "$best" Mpps null) $(row "rate without loss" "$params" "$gbit" "Gbit/s" null)"
  done
}

try_one() { # bytes, window; window 0: only until frames of that size go as one datagram
  local before answer
  if [ "$2" -eq 0 ]; then
    echo "$1 1 1" >&"${generator[1]}"
    read -r -t 10 -u "${generator[0]}" answer
    return
  fi
  before=$(dropped gate)
  echo "$1 $2 $seconds" >&"${generator[1]}"
  read -r -t $((seconds + 10)) -u "${generator[0]}" answer || { echo "memif: memif_load says nothing" >&2; exit 1; }
  packets=$(jq .received <<<"$answer")
  lost=$(($(jq .lost <<<"$answer") + $(dropped gate) - before))
}
one_daemon() {
  pair far gate
  configure far 1 server far
  configure gate 2 server near
  bridge gate 2 lan
  serve far gate
  cli far join "$network" >/dev/null
  wait_for 30 joined far "$network" || { echo "memif: no configuration at the root" >&2; exit 1; }
  wait_for 10 test -S "$work/lan.sock" && wait_for 10 test -S "$work/near.sock" || { echo "memif: no sockets: $(tail -n 2 "$work/gate.log")" >&2; exit 1; }
  coproc generator { exec "$load" --mac "$(cli far -j listnetworks | jq -r '.[0].mac')" --lcores "0@($cpus)" --no-huge --no-shconf -m 256 --no-pci --no-telemetry \
    --file-prefix "$prefix-load" --vdev "$(memif 0 client lan)" --vdev "$(memif 1 client near)" --vdev "$(memif 2 client far)" 2>&1; }
  local line
  while read -r -t 30 -u "${generator[0]}" line; do [ "$line" != ready ] || break; done
  [ "${line:-}" = ready ] || { echo "memif: memif_load does not start: ${line:-}" >&2; exit 1; }
  wait_for 30 joined gate "$network" || { echo "memif: no configuration" >&2; exit 1; }
  wait_for 10 direct_between gate far
  search "one daemon" try_one "${windows:-32 128 256 512 768}"
  kill "$generator_PID" 2>/dev/null
  stop gate
  stop far
}
direct_between() { cli "$1" -j peers | jq -e --arg a "$(address_of "$2")" 'any(.[]; .address == $a and any(.paths[]; .active))'; }

# First octets that no member of the network has.
mac1=0a:77:00:00:00:01 mac2=0a:77:00:00:00:02
testpmd() { # frame bytes, bursts of the window, whom the second port sends to
  # Both lcores of testpmd float, as the daemons' workers do. What the second port would send of its own goes to
  # itself, which the bridge knows to be local: one direction.
  {
    sleep 2 # until the links are up
    echo "set fwd io"
    echo "set txpkts $1"
    echo "start tx_first $2"
    sleep 1
    echo "clear port stats all"
    sleep "$seconds"
    echo "show port stats 1"
    dropped root one >"$work/dropped" # what is on its way when testpmd ends is lost, too, and does not count
    sleep 0.2
    echo "quit"
    sleep 1
  } | timeout $((seconds + 30)) dpdk-testpmd --lcores "0@($cpus),1@($cpus)" --no-huge --no-shconf -m 512 --no-pci --no-telemetry --file-prefix "$prefix-pmd" \
    --vdev "$(memif 0 client lan1 "mac=$mac1")" --vdev "$(memif 1 client lan2 "mac=$mac2")" \
    -- -i --total-num-mbufs=32768 --burst=32 --eth-peer=0,$mac2 --eth-peer=1,"$3" 2>&1
}
try_two() { # bytes, window; window 0: the far bridge learns where the second port is, so that nothing is flooded, nothing unknown
  local before out
  if [ "$2" -eq 0 ]; then
    testpmd 64 1 "$mac1" >/dev/null
    return
  fi
  before=$(dropped root one)
  out=$(testpmd "$1" $(($2 / 32)) "$mac2")
  # The counters were cleared $seconds before they were shown.
  packets=$(sed -n 's/^ *RX-packets: *\([0-9]*\).*/\1/p' <<<"$out" | head -n 1)
  lost=$(($(cat "$work/dropped") - before))
  [ -n "$packets" ] || { echo "memif: testpmd shows nothing: $(tail -n 3 <<<"$out")" >&2; exit 1; }
}
two_daemons() {
  pair root one
  configure root 1 server wan
  configure one 2 client wan
  bridge root 1 lan1
  bridge one 2 lan2
  serve root one
  wait_for 30 joined one "$network" && wait_for 30 joined root "$network" || { echo "memif: no configuration" >&2; exit 1; }
  search "two daemons" try_two "${windows:-128 256 512}"
}

printf '%-14s %6s %8s %8s %8s\n' scene bytes window Mpps Gbit/s
one_daemon
two_daemons
echo "cpu: $cpu, $(nproc) cores for daemons and generator; one worker in each daemon, one direction, adaptive idle"
write_json "$(jq -s . <<<"$rows")"
