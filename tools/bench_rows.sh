# What the parts of tools/bench that are called flood and root share; sourced by them.
# shellcheck shell=bash
all_rows='[]'
add_rows() { all_rows=$(jq -s 'add' <(echo "$all_rows") <(echo "$1")); }
verdict() { [ "$1" = true ] && echo holds || echo "DOES NOT HOLD"; }
resident_of() { awk '/^(VmRSS|HugetlbPages):/ {kib += $2} END {print kib + 0}' "/proc/$1/status"; } # KiB, pools too
cpu_of() { awk '{n += $1} END {printf "%d", n / 1e6}' "/proc/$1"/task/*/schedstat; } # ms
