# The part of tools/bench that is called flood; sourced by it, after the helpers of the other daemons' benchmarks. In process: a worker and
# control by themselves. Between namespaces (root): a flow of 2,000 datagrams a second through two daemons, there and back, by itself and then in each
# flood; the flood comes from the root's namespace, or out of the LAN of the bridge "two".
# shellcheck shell=bash
# shellcheck source=tools/bench_rows.sh
. tools/bench_rows.sh
rounds=3

in_worker() { # a flow of 1 Gbit/s, a million others a second
  local rows
  rows=$(benchmark_rows "$bin/bench/dataplane/flood_bench" | jq '[.[] | .params.of as $of | .counters as $c
    | {name: "loss of the flow", params: {flood: $of}, value: $c.loss, unit: "%", baseline: null, ratio: null, counters: $c},
      {name: "load", params: {flood: $of}, value: $c.load, unit: "%", baseline: null, ratio: null}]')
  echo "one worker, 1 Gbit/s beside a million datagrams a second; bar: loss under 1 %"
  printf '%-14s %20s %10s %14s\n' flood "loss of the flow (%)" "load (%)" "taken (Mpps)"
  jq -r '.[] | select(.counters) | [.params.flood, .value, .counters.load, .counters.flood] | @tsv' <<<"$rows" |
    while IFS=$'\t' read -r a b c d; do printf '%-14s %20s %10s %14s\n' "$a" "$b" "$c" "$d"; done
  add_rows "$rows"
}
behind_memif() { # the same with a daemon: its LAN and its underlay are net_memif
  local kind answer row
  one_daemon
  ask_load "1400 1 1" >/dev/null # until frames of that size go as one datagram
  echo
  echo "one daemon between memif ports, 1 Gbit/s of 1400-byte frames beside a million forged datagrams a second, $seconds s; bar: loss under 1 %"
  printf '%-14s %12s %12s %14s %12s\n' flood "lost (%)" "flow (Mbit/s)" "taken (Mpps)" "cpu (%)"
  for kind in alone strangers forged fragments; do
    local cpu before
    before=$(cpu_of "$pid_gate")
    answer=$(ask_load "1400 1024 $seconds 89286 ${kind/alone/strangers} $([ "$kind" = alone ] && echo 0 || echo 1000000)")
    cpu=$(jq -n "($(cpu_of "$pid_gate") - $before) / $seconds / 10 | round")
    row=$(row "loss of the flow through a daemon" "{\"flood\": \"$kind\"}" "$(jq '.lost / .sent * 1e5 | round / 1e3' <<<"$answer")" % null |
      jq --argjson a "$answer" --argjson cpu "$cpu" --argjson seconds "$seconds" '. + {counters: ($a + {cpu: $cpu, mbit: ($a.received * 1400 * 8 / $seconds / 1e6 | round), taken: ($a.forged / $seconds / 1e4 | round / 100)})}')
    jq -r '[.params.flood, .value, .counters.mbit, .counters.taken, .counters.cpu] | @tsv' <<<"$row" |
      while IFS=$'\t' read -r a b c d e; do printf '%-14s %12s %12s %14s %12s\n' "$a" "$b" "$c" "$d" "$e"; done
    add_rows "[$row]"
  done
  one_daemon_ends
}
drop_cost() { # bD10
  local rows cycles
  rows=$(benchmark_rows "$bin/bench/dataplane/punt_bench" | jq '[.[] | .name = "cycles of a flood: \(.name)"]')
  cycles=$(jq '.[] | select(.name | endswith("garbage")) | .value' <<<"$rows")
  echo
  echo "bD10: a worker's drop of 64 random bytes: $cycles cycles; bar 60: $(verdict "$(jq -n "$cycles <= 60")")"
  add_rows "$rows"
}
forged_certificates() { # bD6
  local rows pay
  rows=$(benchmark_rows "$bin/bench/control/forged_com_bench" | jq '[.[] | .params = {per_second: 10000, of: .name} | .name = "control"]')
  echo
  echo "bD6: forged certificates of a peer that is no member, 10,000 a second; bars: a member waits 1 ms more at most, 10 times what the attacker pays"
  printf '%-20s %14s %16s %20s %14s\n' "" cycles/packet "of a core (%)" "99.9 % within (us)" signatures/s
  jq -r '.[] | [.params.of, .value, .counters.share // "", .counters.longest // "", .counters.signatures // ""] | map(tostring | if . == "" then "-" else . end) | @tsv' <<<"$rows" |
    while IFS=$'\t' read -r a b c d e; do printf '%-20s %14s %16s %20s %14s\n' "$a" "$b" "$c" "$d" "$e"; done
  pay=$(jq '(.[] | select(.params.of == "attacker")).value as $own | [.[] | select(.params.of | startswith("forged"))] as $f
    | ($f | all(.counters.longest <= 1000 and .value <= 10 * $own))' <<<"$rows")
  echo "bD6: $(verdict "$pay")"
  add_rows "$rows"
}

socket_drops() { ns two awk 'NR > 1 {n += $NF} END {print n + 0}' /proc/net/udp /proc/net/udp6; }
probe() { # bytes: JSON
  ns one "$bin/bench/service/overlay_probe" send --to "$two_ip/7000" --bytes "$1" --seconds "$seconds"
}
median_of() { # probes: one of all, percentiles are medians
  jq -s '(map(.sent) | add) as $sent | (map(.received) | add) as $received | def middle(f): map(f) | sort | .[length / 2 | floor];
    {sent: $sent, received: $received, lost: (($sent - $received) / $sent * 1e5 | round / 1e3), p50: middle(.p50), p99: middle(.p99), late: middle(.late)}' "$@"
}
drops_of_two() { cli two -j drops | jq '[(.worker, .control) | to_entries] as [$w, $c] | ($w | map({key: "worker.\(.key)", value})) + ($c | map({key: "control.\(.key)", value})) | from_entries'; }
state_of_two() { # JSON: what a flood may change
  jq -n --argjson resident "$(resident_of "$pid_two")" --argjson pools "$(pools_of "$pid_two")" --argjson sockets "$(socket_drops)" \
    --argjson drops "$(drops_of_two)" '{resident: $resident, pools: $pools, sockets: $sockets, drops: $drops}'
}
# Alone and in the flood by turns, since others disturb the machine, too. Prints a row.
flooded() { # id kind rate bytes loss-bar p99-bar(ms, or null) namespace interface
  local round before cpu spent=0 # ms of a processor in the flood
  before=$(state_of_two)
  rm -f "$work"/alone.* "$work"/during.* "$work"/sent.*
  for ((round = 0; round < rounds; ++round)); do
    probe "$4" >"$work/alone.$round"
    ns "$7" "$bin/bench/service/flood_sender" "$2" --interface "$8" --to "10.72.0.3/$udp_two" --to-mac "$mac_two" --node "$(address_of two)" \
      --as "$work/one/identity.public" --peer "$work/two/identity.public" --rate "$3" --seconds "$((seconds + 1))" >"$work/sent.$round" &
    local sender=$!
    cpu=$(cpu_of "$pid_two")
    sleep 0.5
    probe "$4" >"$work/during.$round"
    wait "$sender"
    spent=$((spent + $(cpu_of "$pid_two") - cpu))
  done
  row "loss in a flood" "$(jq -n --arg id "$1" --arg flood "$2" --argjson asked "$3" --argjson bytes "$4" '{id: $id, flood: $flood, asked: $asked, bytes: $bytes}')" \
    "$(median_of "$work"/during.* | jq .lost)" % null |
    jq --argjson alone "$(median_of "$work"/alone.*)" --argjson during "$(median_of "$work"/during.*)" --argjson sent "$(jq -s '{sent: (map(.sent) | add), seconds: (map(.seconds) | add)}' "$work"/sent.*)" \
      --argjson before "$before" --argjson after "$(state_of_two)" --argjson most "$5" --argjson late "$6" --argjson spent "$spent" '
      def mib: . / 102.4 | round / 10;
      . + {counters: ({sent: ($sent.sent / $sent.seconds | round), alone_lost: $alone.lost, alone_p50: $alone.p50, alone_p99: $alone.p99, alone_late: $alone.late,
        p50: $during.p50, p99: $during.p99, late: $during.late, added_ms: (($during.p99 - $alone.p99) / 10 | round / 100),
        cpu: ($spent / $sent.seconds | round / 10), sockets: ($after.sockets - $before.sockets), pools_mib: ($after.pools - $before.pools | mib),
        grown_mib: ($after.resident - $after.pools - $before.resident + $before.pools | mib)}
        + ($after.drops | with_entries(.value -= ($before.drops[.key] // 0)) | with_entries(select(.value != 0))))}
      | .counters.holds = (.value <= $most and ($late == null or .counters.added_ms <= $late) and .counters.grown_mib <= 64)' >"$work/row"
  jq -r --arg bar "$5 %$([ "$6" = null ] || echo ", +$6 ms")" '.counters as $c | [.params.id, .params.flood, $c.sent, $c.alone_lost, .value, $c.alone_p99, $c.p99, $c.added_ms, $bar,
      $c.alone_late, $c.late, $c.sockets, $c.cpu, $c.grown_mib, $c.holds] | @tsv' "$work/row" |
    while IFS=$'\t' read -r id kind sent l0 l1 p0 p1 added bar w0 w1 sockets cpu grown holds; do
      printf '%-5s %-10s %8s %8s %7s %8s %8s %8s  %-14s %6s %6s %7s %6s %6s  %s\n' "$id" "$kind" "$sent" "$l0" "$l1" "$p0" "$p1" "$added" "$bar" "$w0" "$w1" "$sockets" "$cpu" "$grown" "$(verdict "$holds")"
    done
  add_rows "[$(cat "$work/row")]"
}
split_packets() { # the rest of bD5
  local got
  mkdir -p "$work/visitor"
  new_identity visitor
  got=$(ns root "$bin/bench/service/split_packets" --interface wan0 --to "10.72.0.3/$udp_two" --to-mac "$mac_two" --node "$(address_of two)" \
    --secret "$work/visitor/identity.secret" --peer "$work/two/identity.public")
  echo "bD5: packets with 320 fragments of strangers between head and tail: $(jq -r '"\(.answered) of \(.sent) put together"' <<<"$got"); bar 99.9 %: $(
    verdict "$(jq '.answered >= .sent * 0.999' <<<"$got")")"
  add_rows "[$(row "split packets" "$(jq '{between}' <<<"$got")" "$(jq '.answered / .sent * 100' <<<"$got")" "% put together" null)]"
}
between_daemons() {
  world
  pair ours
  udp_two=$(cat "$work/two/zerotier-one.port") mac_two=$(ns two cat /sys/class/net/wan0/address)
  ns two "$bin/bench/service/overlay_probe" echo --port 7000 &
  pids+=($!)
  echo
  echo "2,000 datagrams a second there and back through two daemons, $rounds times $seconds s alone and in each flood (200 bytes; bD5: 2,000, two"
  echo "pieces each); percentiles 99 in us, medians of the rounds; late: by what the clock woke the sender too late; sockets: what those of the node lost; cpu: of the node"
  printf '%-5s %-10s %8s %8s %7s %8s %8s %8s  %-14s %6s %6s %7s %6s %6s\n' "" flood sent/s "lost (%)" "in it" p99 "in it" "added ms" bar late "in it" sockets "cpu %" "+ MiB"
  probe 200 >/dev/null # neighbours, paths
  flooded bD1 joiners 10000 200 0.1 1 root wan0
  flooded bD2 hello 100000 200 0.1 1 root wan0
  flooded bD3 strangers 20000 200 0 0.2 root wan0
  flooded bD4 strangers 100000 200 0.1 1 root wan0
  flooded bD5 fragments 100000 2000 0.1 null root wan0
  bridged
  flooded bD7 macs 100000 200 0.1 null lan eth0
  stations=$(cli two -j ports | jq '[.[] | .bridge.stations // 0] | add')
  echo "bD7: $stations stations known behind the port; bar 4096: $(verdict "$(jq -n "$stations <= 4096")")"
  split_packets
}
bridged() { # two begins anew, with a LAN in another network that one is a member of, too
  local other=${network%1}2
  cli root controller network "$other" --set '{"name":"lan","private":false,"mtu":1500,"v4AssignMode":{"zt":false}}' >/dev/null
  ip netns add "$prefix-lan"
  spaces+=("$prefix-lan")
  ip link add lan0 netns "$prefix-two" type veth peer name eth0 netns "$prefix-lan" address 06:00:00:00:00:01 # a random one may be taken for a member's
  ns two ip link set lan0 up
  ns lan ip link set eth0 up
  cli one join "$other" >/dev/null
  wait_for 30 joined one "$other" || { echo "flood: no configuration of the bridged network" >&2; exit 1; }
  cli root controller member "$other" "$(address_of two)" --set '{"authorized":true,"activeBridge":true,"noAutoAssignIps":true}' >/dev/null
  stop two
  printf '[[bridge]]\ndevice = "net_af_packet0,iface=lan0"\nnetwork = "%s"\n' "$other" >"$work/two/orrery.toml"
  ours two
  wait_for 30 joined two "$other" && wait_for 30 joined two "$network" || { echo "flood: two does not come back" >&2; exit 1; }
  wait_for 30 ns one ping -c 1 -W 1 "$two_ip" || { echo "flood: no ping" >&2; exit 1; }
  sleep 2
}

in_worker
drop_cost
forged_certificates
if [ "$(id -u)" -eq 0 ]; then
  # shellcheck source=tools/memif_scene.sh
  . tools/memif_scene.sh
  behind_memif
  between_daemons
else
  echo "not root: the floods of daemons are left out"
fi
echo "cpu: $cpu, $(nproc) cores; $isa"
write_json "$all_rows"
