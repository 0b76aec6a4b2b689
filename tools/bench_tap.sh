# The part of tools/bench that is called tap; sourced by it, after the namespaces root, one and two were made. All subjects run side by side, and
# are measured by turns, so that what else the machine does meanwhile befalls all of them.
# shellcheck shell=bash
rounds=9
subjects=()
declare -A client=() server=() at=() # of a subject: namespaces, address of the server
declare -A value=()                  # [what, of whom]: one figure a round, then their median
subject() { # name client server address
  subjects+=("$1")
  client[$1]=$2 server[$1]=$3 at[$1]=$4
}
measure() { # what, further iperf3 arguments: adds Mbit/s that arrived
  local s
  for s in "${subjects[@]}"; do
    [ "$s" != "bare veth" ] || continue
    ns "${server[$s]}" iperf3 -s -1 -D --logfile "$work/iperf.log"
    sleep 0.5
    value["$1,$s"]+=" $(ns "${client[$s]}" iperf3 -c "${at[$s]}" -t $(((seconds + rounds - 1) / rounds)) -J "${@:2}" | jq -r '(.end.sum_received // .end.sum) as $s
      | $s.bits_per_second * (if $s.lost_percent then 1 - $s.lost_percent / 100 else 1 end) / 1e6 | floor')"
  done
}
pings() { # adds round trips in microseconds
  local s
  for s in "${subjects[@]}"; do
    ns "${client[$s]}" ping -c 20 -i 0.01 "${at[$s]}" >/dev/null # neighbours, paths
    ns "${client[$s]}" ping -c $((5000 / rounds)) -i 0.002 "${at[$s]}" | sed -n 's/.*time=\([0-9.]*\) ms/\1/p' >>"$work/rtt ${s// /-}"
  done
}
medians() {
  local key s n q
  for key in "${!value[@]}"; do
    # shellcheck disable=SC2086
    value[$key]=$(printf '%s\n' ${value[$key]} | sort -n | sed -n "$((rounds / 2 + 1))p")
  done
  for s in "${subjects[@]}"; do
    sort -n "$work/rtt ${s// /-}" >"$work/rtt"
    n=$(wc -l <"$work/rtt")
    [ "$n" -ge 4980 ] || echo "$s: only $n of $((5000 / rounds * rounds)) pings came back" >&2
    for q in 50 99 99.9; do
      value["ping $q,$s"]=$(awk -v n="$n" -v q="$q" 'BEGIN {at = int(n * q / 100 + 0.999999)} NR == at {printf "%.0f", $1 * 1000}' "$work/rtt")
    done
  done
}
talks() { wait_for 20 ns one ping -c 1 -W 1 "$2" || { echo "$1: no ping" >&2; return 1; }; }
wireguard() { # both ends, keys made for this run
  local s n other
  for s in one two; do (umask 077; wg genkey >"$work/wg-$s.key"); done
  for s in one two; do
    n=$([ "$s" = one ] && echo 2 || echo 3)
    other=$([ "$s" = one ] && echo two || echo one)
    (exec ip netns exec "$prefix-$s" env WG_PROCESS_FOREGROUND=1 wireguard-go wg0) >>"$work/wg-$s.log" 2>&1 &
    pids+=($!)
    wait_for 5 ns "$s" ip link show wg0 || { echo "wireguard-go does not start" >&2; return 1; }
    ns "$s" wg set wg0 private-key "$work/wg-$s.key" listen-port 51820 peer "$(wg pubkey <"$work/wg-$other.key")" \
      allowed-ips 10.74.0.0/24 endpoint "10.72.0.$((5 - n)):51820"
    ns "$s" ip addr add "10.74.0.$n/24" dev wg0
    ns "$s" ip link set wg0 up
  done
  talks wireguard-go 10.74.0.3
}
nebula_pair() {
  local s n
  (cd "$work" && nebula-cert ca -name bench >/dev/null)
  for s in one two; do
    n=$([ "$s" = one ] && echo 2 || echo 3)
    (cd "$work" && nebula-cert sign -name "$s" -ip "10.74.1.$n/24" >/dev/null)
    cat >"$work/nebula-$s.yml" <<YAML
pki: {ca: $work/ca.crt, cert: $work/$s.crt, key: $work/$s.key}
static_host_map: {"10.74.1.2": ["10.72.0.2:4242"], "10.74.1.3": ["10.72.0.3:4242"]}
lighthouse: {am_lighthouse: false, interval: 60, hosts: []}
listen: {host: 0.0.0.0, port: 4242}
tun: {dev: nebula1}
firewall: {outbound: [{port: any, proto: any, host: any}], inbound: [{port: any, proto: any, host: any}]}
YAML
    (exec ip netns exec "$prefix-$s" nebula -config "$work/nebula-$s.yml") >>"$work/nebula-$s.log" 2>&1 &
    pids+=($!)
  done
  talks nebula 10.74.1.3
}

world
pair ours
subject orrery one two "$two_ip"
if [ -n "$peer" ]; then
  space three 10.72.0.4/24
  space four 10.72.0.5/24
  for s in three four; do
    mkdir "$work/$s"
    cp "$work/planet" "$work/$s/planet"
  done
  pair stock three four
  subject zerotier-one three four "$two_ip"
fi
if command -v wireguard-go >/dev/null && command -v wg >/dev/null && wireguard; then subject wireguard-go one two 10.74.0.3; fi
if command -v nebula >/dev/null && command -v nebula-cert >/dev/null && nebula_pair; then subject nebula one two 10.74.1.3; fi
subject "bare veth" one two 10.72.0.3
for ((r = 0; r < rounds; ++r)); do
  measure "TCP there"
  measure "TCP back" -R
  measure "TCP x 4 there" -P 4
  measure "TCP x 4 back" -P 4 -R
  measure "UDP there" -u -b 1G -l 1372
  measure "UDP back" -u -b 1G -l 1372 -R
  pings
done
medians

printf '%-26s' ""
printf ' %14s' "${subjects[@]}"
[ -z "$peer" ] || printf ' %14s' ratio
echo
rows=
for what in "TCP there" "TCP back" "TCP x 4 there" "TCP x 4 back" "UDP there" "UDP back" "ping 50" "ping 99" "ping 99.9"; do
  unit=Mbit/s label="$what (Mbit/s)"
  case $what in ping*) unit=us label="${what/ping /ping, percentile } (us)" ;; esac
  printf '%-26s' "$label"
  for s in "${subjects[@]}"; do printf ' %14s' "${value["$what,$s"]:--}"; done
  [ -z "$peer" ] || printf ' %14s' "$(jq -n "${value["$what,orrery"]} / ${value["$what,zerotier-one"]} * 100 | round / 100")"
  echo
  for s in "${subjects[@]}"; do
    [ -n "${value["$what,$s"]:-}" ] || continue
    base=null
    [ "$s" != orrery ] || base=${value["$what,zerotier-one"]:-null}
    rows+="$(row "$what" "{\"of\": \"$s\", \"seconds\": $seconds, \"mtu\": 2800}" "${value["$what,$s"]}" "$unit" "$base")
"
  done
done
echo "cpu: $cpu, $(nproc) cores for both daemons and iperf3; MTU 2800 (ours and stock); pings every 2 ms, adaptive idle; medians of $rounds rounds"
write_json "$(jq -s . <<<"$rows")"
