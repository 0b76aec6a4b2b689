# The part of tools/bench that is called memif; sourced by it. Two daemons whose underlay is one net_memif and whose LAN ports are each another
# one, and dpdk-testpmd at the far ends of these.
# shellcheck shell=bash
command -v dpdk-testpmd >/dev/null || { echo "tools/bench memif: needs dpdk-testpmd (Debian: dpdk-dev)" >&2; exit 1; }
for s in root one; do
  ip netns add "$prefix-$s"
  spaces+=("$prefix-$s")
  ns "$s" ip link set lo up
  mkdir -p "$work/$s"
done
new_identity root
new_identity one
network=$(address_of root)000001
"$bin/orrery" planet create "$work/planet" "$work/root/identity.public=10.75.0.1/9993" >/dev/null
configure() { # name, number, memif role on the underlay
  cp "$work/planet" "$work/$1/planet"
  cat >"$work/$1/orrery.toml" <<TOML
[underlay]
sockets = false
[[underlay.port]]
device = "net_memif0,role=$3,id=7,socket=$work/wan.sock,socket-abstract=no,rsize=14,bsize=2048,mac=02:75:00:00:00:0$2"
mirror = "orr-wan0"
addresses = ["10.75.0.$2/24"]
[[bridge]]
device = "net_memif1,role=server,id=$2,socket=$work/lan$2.sock,socket-abstract=no,mac=02:76:00:00:00:0$2"
network = "$network"
loop_guard = false # the generator goes round through both LANs
TOML
}
configure root 1 server
printf '[controller]\nenabled = true\n' >>"$work/root/orrery.toml"
configure one 2 client
ours root
wait_for 30 cli root info || { echo "memif: the root does not come up: $(tail -n 2 "$work/root.log")" >&2; exit 1; }
cli root controller network "$network" --set '{"name":"bench","private":true,"mtu":1500,"v4AssignMode":{"zt":false}}' >/dev/null
for s in root one; do
  cli root controller member "$network" "$(address_of "$s")" --set '{"authorized":true,"activeBridge":true,"noAutoAssignIps":true}' >/dev/null
done
ours one
wait_for 30 joined one "$network" && wait_for 30 joined root "$network" || { echo "memif: no configuration" >&2; exit 1; }

# Dropped by either daemon for whatever reason, its ports included; what belongs to the LAN that it came from does not count.
dropped() {
  local s sum=0
  for s in root one; do
    sum=$((sum + $(cli "$s" -j drops | jq '[.worker | del(.local) | .[]] | add') + $(cli "$s" -j ports | jq '[.. | objects | (.rxDropped // 0) + (.txDropped // 0)] | add')))
  done
  echo "$sum"
}
# First octets that no member of the network has.
mac1=0a:77:00:00:00:01 mac2=0a:77:00:00:00:02
generator() { # frame bytes, bursts of the window, whom the second port sends to
  # Both lcores of testpmd float, as the daemons' workers do. What the second port would send of its own goes to
  # itself, which the bridge knows to be local: one direction. Only before a size is measured it sends to the first one, so that the far
  # bridge learns where it is: nothing is flooded, nothing unknown.
  {
    sleep 2 # until the links are up
    echo "set fwd io"
    echo "set txpkts $1"
    echo "start tx_first $2"
    sleep 1
    echo "clear port stats all"
    sleep "$seconds"
    echo "show port stats 1"
    dropped >"$work/dropped" # what is on its way when testpmd ends is lost, too, and does not count
    sleep 0.2
    echo "quit"
    sleep 1
  } | timeout $((seconds + 30)) dpdk-testpmd --lcores "0@($cpus),1@($cpus)" --no-huge --no-shconf -m 512 --no-pci --no-telemetry --file-prefix "$prefix-pmd" \
    --vdev "net_memif0,role=client,id=1,socket=$work/lan1.sock,socket-abstract=no,rsize=14,bsize=2048,mac=$mac1" \
    --vdev "net_memif1,role=client,id=2,socket=$work/lan2.sock,socket-abstract=no,rsize=14,bsize=2048,mac=$mac2" \
    -- -i --total-num-mbufs=32768 --burst=32 --eth-peer=0,$mac2 --eth-peer=1,$3 2>&1
}
cpus=0-$(($(nproc) - 1))
rows=
printf '%-10s %14s %12s %12s\n' bytes "window" Mpps Gbit/s
for size in ${sizes:-64 128 256 512 1024 1400}; do
  best=0 best_window=0
  generator 64 1 "$mac1" >/dev/null
  for bursts in ${windows:-8 32 128 256 384}; do
    before=$(dropped)
    out=$(generator "$size" "$bursts" "$mac2")
    # The counters were cleared $seconds before they were shown.
    packets=$(sed -n 's/^ *RX-packets: *\([0-9]*\).*/\1/p' <<<"$out" | head -n 1)
    lost=$(($(cat "$work/dropped") - before))
    [ -n "$packets" ] || { echo "memif: testpmd shows nothing: $(tail -n 3 <<<"$out")" >&2; exit 1; }
    rate=$(jq -n "$packets / $seconds / 1e6 * 1000 | round / 1000")
    [ "$lost" -eq 0 ] || break # a larger window would lose more
    if jq -en "$rate > $best" >/dev/null; then best=$rate best_window=$((bursts * 32)); fi
  done
  gbit=$(jq -n "$best * $size * 8 / 1000 * 100 | round / 100")
  printf '%-10s %14s %12s %12s\n' "$size" "$best_window" "$best" "$gbit"
  rows+="$(row "rate without loss" "{\"bytes\": $size, \"window\": $best_window, \"seconds\": $seconds}" "$best" Mpps null)
$(row "rate without loss" "{\"bytes\": $size, \"window\": $best_window, \"seconds\": $seconds}" "$gbit" "Gbit/s" null)
"
done
echo "cpu: $cpu, $(nproc) cores for both daemons and dpdk-testpmd; one worker in each daemon, one direction, adaptive idle"
write_json "$(jq -s . <<<"$rows")"
