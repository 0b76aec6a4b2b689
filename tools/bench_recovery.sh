# The part of tools/bench that is called recovery; sourced by it. How long a flow of pings, one every 20 ms through the overlay, is away
# when something happens to the paths under it. Two members have one or two links to each other and one to a root, each through a
# tools/relay, so that every fault is the relay's; the root's switch keeps members apart.
#
#   one -- relay 0 -- root's switch -- relay 3 -- two        10.72.0.0/24, relayed by the root alone
#   one -- relay 1 ------------------------------ two        10.75.1.0/24
#   one -- relay 2 ------------------------------ two        10.75.2.0/24, where a second path is wanted
# shellcheck shell=bash
relay=$bin/tools/relay/relay rows='[]' gap=
[ -x "$relay" ] || { echo "tools/bench: recovery needs $relay (tools/build)" >&2; exit 1; }

quiet_offloads() { ns "$1" ethtool -K "$2" tx off gso off tso off gro off tx-udp-segmentation off >/dev/null 2>&1 || true; }
# relay_between NUMBER SPACE DEVICE ADDRESS SPACE DEVICE [ADDRESS]: a veth at each end, the relay in a namespace of its own
relay_between() {
  local n=$1
  ip netns add "$prefix-r$n"
  spaces+=("$prefix-r$n")
  ip link add side-a netns "$prefix-r$n" type veth peer name "$3" netns "$prefix-$2"
  ip link add side-b netns "$prefix-r$n" type veth peer name "$6" netns "$prefix-$5"
  ns "$2" ip addr add "$4" dev "$3"
  [ -z "${7:-}" ] || ns "$5" ip addr add "$7" dev "$6"
  for side in side-a side-b; do ns "r$n" sysctl -qw "net.ipv6.conf.$side.disable_ipv6=1"; ns "r$n" ip link set "$side" up; done
  ns "$2" ip link set "$3" up
  ns "$5" ip link set "$6" up
  quiet_offloads "$2" "$3"
  quiet_offloads "$5" "$6"
  quiet_offloads "r$n" side-a
  quiet_offloads "r$n" side-b
  mkfifo "$work/relay$n"
  (exec ip netns exec "$prefix-r$n" "$relay" side-a side-b --seed 1) <"$work/relay$n" >"$work/relay$n.log" 2>&1 &
  pids+=($!)
  eval "exec $((50 + n))>\"$work/relay$n\""
}
tell() { echo "$2" >&"$((50 + $1))"; } # relay, command
topology() {
  quiet_offloads root wan0
  ip netns del "$prefix-one" && ip netns del "$prefix-two"
  for s in one two; do
    ip netns add "$prefix-$s"
    ns "$s" ip link set lo up
  done
  relay_between 0 one up0 10.72.0.2/24 wan p-one
  relay_between 3 two up0 10.72.0.3/24 wan p-two
  for p in p-one p-two; do
    ns wan ip link set "$p" master wan
    ns wan bridge link set dev "$p" isolated on
  done
  relay_between 1 one d1 10.75.1.1/24 two d1 10.75.1.2/24
  relay_between 2 one d2 10.75.2.1/24 two d2 10.75.2.2/24
}
heal_all() {
  local n
  for n in 0 1 2 3; do tell "$n" "both clear"; done
}
second_path() { # on|off: of both members
  local s
  for s in one two; do ns "$s" ip link set d2 "$([ "$1" = on ] && echo up || echo down)"; done
}
direct() { # is the path from $1 to $2 one of the links between them?
  cli "$1" -j peers | jq -e --arg a "$(address_of "$2")" '.[] | select(.address == $a) | .paths[] | select(.preferred and (.expired | not)
    and (.address | startswith("10.75.")))' >/dev/null
}
both_direct() { direct one two && direct two one; }
link_in_use() { # 1 or 2, of one
  cli one -j peers | jq -r --arg a "$(address_of two)" '.[] | select(.address == $a) | .paths[] | select(.preferred) | .address' | sed -n 's/^10\.75\.\([12]\)\..*/\1/p' | head -n 1
}
# pings SECONDS COMMAND...: a flow of so long, and after two seconds the command. Sets gap: ms without an answer, the longest.
pings() {
  local seconds=$1 size=${ping_size:-56}
  shift
  # shellcheck disable=SC2024
  ns one timeout -s INT "$((seconds + 2))" ping -D -n -i 0.02 -s "$size" "$two_ip" >"$work/pings" 2>&1 &
  local flow=$!
  sleep 2
  "$@"
  wait "$flow" || true
  gap=$(awk -v end="$seconds" '/^\[.*bytes from/ {t = substr($1, 2) + 0; if (!first) first = t; if (last && t - last > most) most = t - last; last = t}
    END {late = first + end + 2 - last; if (late > 1 && late > most) most = late; printf "%d", most * 1000}' "$work/pings")
}
settle() { wait_for 60 both_direct && wait_for 10 ns one ping -c 1 -W 1 "$two_ip"; }

path_dies() { second_path off; settle; pings "$window" tell 1 "both cut"; }
path_heals() { # after path_dies
  second_path off; tell 1 "both cut"; sleep 5
  pings 15 tell 1 "both heal"
}
second_path_takes_over() {
  local used
  second_path on; settle; sleep 12
  used=$(link_in_use)
  pings "$window" tell "${used:-1}" "both cut"
}
one_way() { second_path off; settle; pings "$window" tell 1 "a>b cut"; }
nat_rebind() {
  second_path off
  tell 1 "rebind $((RANDOM + 1))"; sleep 8; settle
  pings "$window" tell 1 "rebind $((RANDOM + 1))"
}
nat_rebind_idle() { # the other side speaks first
  second_path off
  tell 1 "rebind $((RANDOM + 1))"; sleep 8; settle; sleep 20
  tell 1 "rebind $((RANDOM + 1))"
  local one_ip
  one_ip=$(ip4_of one "$network")
  ns two timeout -s INT 12 ping -D -n -i 0.02 "$one_ip" >"$work/pings" 2>&1 &
  local flow=$! begin
  begin=$(date +%s.%N)
  wait "$flow" || true
  gap=$(awk -v begin="$begin" '/^\[.*bytes from/ {t = substr($1, 2) + 0; printf "%d", (t - begin) * 1000; exit}' "$work/pings")
  gap=${gap:-12000}
  tell 1 "rebind 0"; sleep 3
}
link_flap() { # five seconds of nothing at all; counted from the carrier
  second_path off; settle
  flap() { for n in 0 1; do tell "$n" "both cut"; done; sleep 5; for n in 0 1; do tell "$n" "both heal"; done; }
  pings "$window" flap
  gap=$((gap > 5000 ? gap - 5000 : gap))
}
black_hole() { # packets of full size; small ones pass
  second_path off; settle
  ping_size=2000 pings "$window" tell 1 "both larger_than 1300"
}
root_away() { # established: nothing is lost
  second_path off; settle
  away() { kill -STOP "$pid_root"; sleep 10; kill -CONT "$pid_root"; }
  pings "$window" away
}
restart() {
  second_path off; settle
  again() { stop two; "$kind" two; }
  pings "$window" again
}
# Freezes one thread of a daemon: control is its first.
freezer=/sys/fs/cgroup/freezer/$prefix
freeze() { # thread, seconds
  mkdir -p "$freezer"
  echo "$1" >"$freezer/tasks"
  echo FROZEN >"$freezer/freezer.state"
  sleep "$2"
  echo THAWED >"$freezer/freezer.state"
  echo "$1" >/sys/fs/cgroup/freezer/tasks
  rmdir "$freezer" 2>/dev/null || true
}
control_stall() { second_path off; settle; pings "$window" freeze "$pid_two" 10; }

events=(path_dies path_heals second_path_takes_over one_way nat_rebind nat_rebind_idle link_flap black_hole root_away restart)
[ ! -e /sys/fs/cgroup/freezer/freezer.state ] && [ ! -d /sys/fs/cgroup/freezer ] || events+=(control_stall)
[ -z "$only" ] || events=("$only")
bar_of() { # ms
  case $1 in
    path_dies | one_way) echo 5000 ;; path_heals) echo 500 ;; second_path_takes_over) echo 3000 ;; nat_rebind | nat_rebind_idle) echo 2000 ;;
    link_flap) echo 1000 ;; black_hole) echo 10000 ;; root_away | control_stall) echo 500 ;; restart) echo 3000 ;;
  esac
}
measure() { # ours|stock: fills gaps[event]: all of them
  local event i
  kind=$1
  for event in "${events[@]}"; do
    # What freezes control is a matter of ours: a thread of its own carries the frames.
    [ "$kind" = ours ] || [ "$event" != control_stall ] || continue
    for ((i = 0; i < count; ++i)); do
      heal_all
      [ "$kind" = ours ] || [ "$event" != path_heals ] || { gaps[$kind $event]+=" null"; continue; }
      # Stock comes back to a path when it is alone: both begin anew after what it does not survive.
      "$event" || { echo "tools/bench: $kind: $event: no direct path to begin with" >&2; gaps[$kind $event]+=" null"; continue; }
      gaps[$kind $event]+=" $gap"
      [ -z "${progress:-}" ] || echo "$kind $event: $gap ms" >&2
    done
  done
  heal_all
}
figure() { # "values": the 95th of 100, null when there is none
  jq -n --arg v "$1" '[$v | splits(" +") | select(. != "" and . != "null") | tonumber] | sort | if length == 0 then null else .[(length * 0.95 | ceil) - 1] end'
}

window=$seconds
[ -t 2 ] && progress=1
declare -A gaps=()
topology
world
pair ours
measure ours
if [ -n "$peer" ]; then
  fresh_homes
  pair stock
  measure stock
fi
printf '%-24s %12s %12s %14s  %s\n' "away (ms), worst of $count" bar orrery "${peer:+zerotier-one}" ""
for event in "${events[@]}"; do
  ours_ms=$(figure "${gaps[ours $event]:-}") stock_ms=$(figure "${gaps[stock $event]:-}") bar=$(bar_of "$event")
  shown=$stock_ms
  [ "$stock_ms" = null ] || [ "$stock_ms" -lt "$((window * 1000))" ] || shown="> $((window * 1000))"
  [ "$shown" != null ] || shown=
  printf '%-24s %12s %12s %14s  %s\n' "$event" "$bar" "$ours_ms" "$shown" "$(jq -n "$ours_ms != null and $ours_ms <= $bar" | sed 's/true/holds/; s/false/DOES NOT HOLD/')"
  rows=$(jq -s 'add' <(echo "$rows") <(row "$event" "{\"count\": $count, \"seconds\": $window, \"bar\": $bar}" "$ours_ms" ms "$stock_ms" | jq -s .))
done
echo "cpu: $cpu, $(nproc) cores; pings every 20 ms through the overlay, $window s after each fault; of $count the 95th of a hundred"
write_json "$rows"
