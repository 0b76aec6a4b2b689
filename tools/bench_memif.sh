# The part of tools/bench that is called memif; sourced by it. Two scenes: one daemon that encrypts (tools/memif_scene.sh), and two daemons: what
# dpdk-testpmd sends into the LAN of one comes out of the LAN of the other and goes round.
# shellcheck shell=bash
command -v dpdk-testpmd >/dev/null || { echo "tools/bench memif: needs dpdk-testpmd (Debian: dpdk-dev)" >&2; exit 1; }
# shellcheck source=tools/memif_scene.sh
. tools/memif_scene.sh
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
    ask_load "$1 1 1" >/dev/null
    return
  fi
  before=$(dropped gate)
  answer=$(ask_load "$1 $2 $seconds")
  packets=$(jq .received <<<"$answer")
  lost=$(($(jq .lost <<<"$answer") + $(dropped gate) - before))
}

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
  memif_pair root one
  memif_configure root 1 server wan
  memif_configure one 2 client wan
  memif_bridge root 1 lan1
  memif_bridge one 2 lan2
  memif_serve root one
  wait_for 30 joined one "$network" && wait_for 30 joined root "$network" || { echo "memif: no configuration" >&2; exit 1; }
  search "two daemons" try_two "${windows:-128 256 512}"
}

printf '%-14s %6s %8s %8s %8s\n' scene bytes window Mpps Gbit/s
one_daemon
search "one daemon" try_one "${windows:-32 128 256 512 768}"
one_daemon_ends
two_daemons
echo "cpu: $cpu, $(nproc) cores for daemons and generator; one worker in each daemon, one direction, adaptive idle"
write_json "$(jq -s . <<<"$rows")"
