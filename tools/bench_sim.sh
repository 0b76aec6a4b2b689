# The part of tools/bench that is called sim; sourced by it. Worlds of rising size in one process each; the smallest one twice, since the same seed must
# give the same transcript. Writes docs/scale.md and its plots.
# shellcheck shell=bash
# shellcheck source=tools/bench_rows.sh
. tools/bench_rows.sh
sizes=()
for ((n = 1000; n < nodes; n *= 10)); do sizes+=("$n"); done
sizes+=("$nodes")

# Millions of small records at random places: large pages save a fifth of the time where the kernel gives them.
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1

transcript_of() { jq -r '.[] | select(.name == "transcript") | .params.hash' "$1"; }
run_world() { # nodes file
  echo "$1 nodes:"
  "$bin/tests/sim/orrery-sim" world --nodes "$1" --rows "$2" || { echo "tools/bench: a world of $1 nodes does not hold" >&2; exit 1; }
}
figures=$(mktemp)
trap 'rm -f "$figures" "$figures".*' EXIT
run_world "${sizes[0]}" "$figures.again"
for n in "${sizes[@]}"; do
  run_world "$n" "$figures.$n"
  add_rows "$(cat "$figures.$n")"
done
if [ "$(transcript_of "$figures.again")" != "$(transcript_of "$figures.${sizes[0]}")" ]; then
  echo "tools/bench: the same seed gave two transcripts" >&2
  exit 1
fi
echo "the same seed gave the same transcript twice: $(transcript_of "$figures.again")"
memory=$(awk '/^MemTotal:/ {printf "%.0f", $2 / 1048576}' /proc/meminfo)
jq -n --arg bench "$name" --arg cpu "$cpu" --arg isa "$isa" --arg date "$(date -u +%FT%TZ)" --arg command "$command" --argjson cores "$(nproc)" \
  --argjson memory "$memory" --slurpfile rows <(echo "$all_rows") \
  '{bench: $bench, cpu: $cpu, isa: $isa, date: $date, command: $command, cores: $cores, memory_gib: $memory, rows: $rows[0]}' >"$figures"
tools/bench_sim.py docs/scale.md "$figures"
write_json "$all_rows"
