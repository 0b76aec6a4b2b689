# The part of tools/bench that is called root; sourced by it, after the helpers of the other daemons' benchmarks. In process: control alone. As root
# (of the system) also a daemon that is a root (of a planet), in a namespace: how long it takes to begin with many known peers, and floods bD8 and bD9.
# shellcheck shell=bash
# shellcheck source=tools/bench_rows.sh
. tools/bench_rows.sh
known=1000000 # peers of the restart

in_control() {
  local rows
  rows=$(benchmark_rows "$bin/bench/control/root_bench")
  echo "control of a root, one core; goals: 20,000 HELLOs of strangers a second, answered; a million peers in 1 GB"
  printf '%-16s %10s %14s %14s %12s %10s %12s\n' "" peers cycles "a second" "answered %" "B/peer" "longest ms"
  jq -r '.[] | [.name, .params.peers, .value, .counters.per_second // "", .counters.answered // "", .counters.bytes // "", .counters.longest // ""]
    | map(tostring | if . == "" then "-" else . end) | @tsv' <<<"$rows" |
    while IFS=$'\t' read -r a b c d e f g; do printf '%-16s %10s %14s %14s %12s %10s %12s\n' "$a" "$b" "$c" "${d%%.*}" "$e" "${f%%.*}" "$g"; done
  echo "20,000 strangers a second: $(verdict "$(jq '[.[] | select(.name == "hello_stranger")] | all(.counters.per_second >= 20000 and .counters.answered >= 99)' <<<"$rows")")"
  echo "a million peers in 1 GB: $(verdict "$(jq '[.[] | select(.name == "peer" and .params.peers == 1000000)] | all(.counters.bytes <= 1073)' <<<"$rows")")"
  add_rows "$rows"
}
answers() { [ "$(ns "$1" curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:9993/health")" = 200 ]; }
drops_of() { cli "$1" -j drops; }
restart() {
  local begin ready resident
  "$bin/bench/service/root_home" "$work/root" --peers "$known"
  begin=$(date +%s%N)
  ours root
  wait_for 120 answers root || { echo "root: the daemon does not begin" >&2; exit 1; }
  ready=$((($(date +%s%N) - begin) / 1000000))
  resident=$(jq -n "$(resident_of "$pid_root") - $(pools_of "$pid_root") | . / 102.4 | round / 10")
  echo
  echo "restart with $known known peers: the API answers after $ready ms; proofs of work: $(drops_of root | jq '.control.proofs_asked'); $resident MiB beside pools and tables of DPDK"
  add_rows "[$(row restart "{\"peers\": $known}" "$ready" ms null), $(row "restart, proofs of work" "{\"peers\": $known}" "$(drops_of root | jq '.control.proofs_asked')" proofs null),
    $(row "restart, memory" "{\"peers\": $known}" "$resident" MiB null)]"
}
ask() { # JSON: honest WHOIS of "asker" about "two"
  ns one "$bin/bench/service/root_probe" whois --to 10.72.0.1/9993 --peer "$work/root/identity.public" --secret "$work/asker/identity.secret" \
    --about "$(address_of two)" --seconds "$seconds"
}
flood_of_root() { # kind rate arguments...: in the background, from the third namespace
  ns two "$bin/bench/service/flood_sender" "$1" --interface wan0 --to 10.72.0.1/9993 --to-mac "$mac_root" --rate "$2" --seconds "$3" "${@:4}" \
    >"$work/sent" &
  flood=$!
}
whois_in_floods() { # bD8
  local kind rate arguments alone during
  echo
  echo "bD8: honest WHOIS, 20 a second, in a flood of 100,000 datagrams a second; bar: p99 within 100 ms"
  printf '%-14s %10s %10s %12s %12s %12s %10s\n' flood sent/s "lost (%)" "p50 (us)" "p99 (us)" "alone p99" "cpu %"
  alone=$(ask)
  for kind in whois relayed_known relayed_unknown; do
    case $kind in
      whois) arguments=(whois 100000 "$((seconds + 1))" --node "$(address_of root)" --from "10.72.0.3/$(cat "$work/two/zerotier-one.port")" --secret "$work/two/identity.secret" --peer "$work/root/identity.public") ;;
      relayed_known) arguments=(strangers 100000 "$((seconds + 1))" --node "$(address_of two)") ;;
      *) arguments=(strangers 100000 "$((seconds + 1))" --node 1234567890) ;;
    esac
    local cpu
    cpu=$(cpu_of "$pid_root")
    flood_of_root "${arguments[@]}"
    sleep 0.5
    during=$(ask)
    wait "$flood"
    rate=$(jq .rate "$work/sent")
    cpu=$(jq -n "($(cpu_of "$pid_root") - $cpu) / ($seconds + 1) / 10 | round")
    local lost
    lost=$(jq '(.sent - .answered) / .sent * 1e4 | round / 100' <<<"$during")
    printf '%-14s %10s %10s %12s %12s %12s %10s  %s\n' "$kind" "$rate" "$lost" "$(jq .p50 <<<"$during")" "$(jq .p99 <<<"$during")" "$(jq .p99 <<<"$alone")" "$cpu" \
      "$(verdict "$(jq '.p99 <= 100000 and .answered >= .sent * 0.99' <<<"$during")")"
    add_rows "[$(row "WHOIS in a flood, p99" "{\"id\": \"bD8\", \"flood\": \"$kind\"}" "$(jq .p99 <<<"$during")" us "$(jq .p99 <<<"$alone")" |
      jq --argjson lost "$lost" --argjson rate "$rate" --argjson cpu "$cpu" '. + {counters: {lost: $lost, sent: $rate, cpu: $cpu}}')]"
  done
}
strangers_in_flood() { # bD9
  local got proofs
  ns root ip route add 10.74.0.0/16 dev wan0
  # Made-up sources are behind a gateway, as they would be: as neighbours each would take an entry of a table of 1,024.
  ns root ip route add default via 10.72.0.3
  for i in $(seq 0 99); do ns one ip addr add "10.74.$i.1/32" dev wan0; done
  proofs=$(drops_of root | jq .control.proofs_asked)
  flood_of_root joiners 10000 20 --node "$(address_of root)" --peer "$work/root/identity.public"
  sleep 1
  got=$(ns one "$bin/bench/service/root_probe" join --to 10.72.0.1/9993 --first 10.74.0.1/9993 --peer "$work/root/identity.public" --count 100 --seconds 15)
  wait "$flood"
  echo
  echo "bD9: 100 new nodes join while $(jq .rate "$work/sent") HELLOs a second come from nodes without proof of work; bar: 99 % online within 10 s"
  echo "online: $(jq .online <<<"$got") of 100, p50 $(jq .online_p50 <<<"$got") ms, p99 $(jq .online_p99 <<<"$got") ms; named to others: $(jq .proven <<<"$got"), p50 $(
    jq .proven_p50 <<<"$got") ms, p99 $(jq .proven_p99 <<<"$got") ms; proofs of work: $(($(drops_of root | jq .control.proofs_asked) - proofs))"
  echo "bD9: $(verdict "$(jq '.online >= 99 and .online_p99 <= 10000' <<<"$got")")"
  add_rows "[$(row "joining in a flood, p99" '{"id": "bD9"}' "$(jq .online_p99 <<<"$got")" ms null | jq --argjson got "$got" '. + {counters: $got}')]"
}
with_daemons() {
  mkdir -p "$work"/{root,two,asker}
  new_identity root
  new_identity asker
  "$bin/orrery" planet create "$work/planet" "$work/root/identity.public=10.72.0.1/9993" >/dev/null
  for h in root two; do cp "$work/planet" "$work/$h/planet"; done
  printf '[root]\npeers = 2000000\n' >"$work/root/orrery.toml"
  restart
  ours two
  wait_for 30 online two
  mac_root=$(ns root cat /sys/class/net/wan0/address)
  whois_in_floods
  strangers_in_flood
}

in_control
if [ "$(id -u)" -eq 0 ]; then
  with_daemons
else
  echo "not root: restart and floods of a daemon are left out"
fi
echo "cpu: $cpu, $(nproc) cores; $isa"
write_json "$all_rows"
