#!/bin/bash
#
# Runs wireguard-go's own test, tests/netns.sh of the version in go.mod, with
# any program that makes userspace WireGuard interfaces, and tells how far it
# got. The test is upstream's, unchanged: it is written for the kernel's
# WireGuard too, and not every step of it is met by wireguard-go.
#
#	run.sh [-f] [-m LINE] [-t SECONDS] [PROGRAM]
#
# PROGRAM may have arguments; the interface's name is put behind them
# ("wgnode device"). Without one, it is wireguard-go's own, with -f.
#
#	-f          PROGRAM is run as "PROGRAM -f NAME" in the background, and
#	            waited for. wireguard-go needs that: left to go into the
#	            background by itself, it returns before it is ready, and the
#	            test does not wait.
#	-m LINE     be content when this line of netns.sh is reached
#	-t SECONDS  end the test after this time (900)
#
# wireguard-go's own program stops at line 324, where an endpoint was changed
# from IPv4 to IPv6. Its StdNetBind.Send takes a net.UDPAddr from a pool, whose
# IP has still the four bytes of its last, IPv4, use; copies the IPv6 address
# into those four, and only then makes the slice 16 bytes long. The first packet
# thus goes to fd00:aa:: instead of fd00:aa::2, and ping waits for no second one
# (https://github.com/WireGuard/wireguard-go/pull/135).
#
# The exit status is 0 if the test passed, or reached LINE; 1 if not; 2 if it
# could not be run. It takes root, and a few minutes of both ends' CPU.
#
# The test runs in mount and PID namespaces of its own, with its own /run. The
# names of its network namespaces are therefore not the machine's, and when it
# ends, in whatever way, all its processes and namespaces end with it.

set -euo pipefail

foreground= enough= limit=900
while getopts fm:t: option; do
	case $option in
	f) foreground=1 ;;
	m) enough=$OPTARG ;;
	t) limit=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))

die() { echo "run.sh: $*" >&2; exit 2; }

[[ $EUID -eq 0 ]] || die "network namespaces need root"
for tool in go ip iperf3 iptables ncat ping ping6 ss unshare wg; do
	command -v "$tool" >/dev/null || die "$tool is not installed"
done

work=$(mktemp -d -t wgnode-netns-XXXXXX)
# The test sets this for the whole machine, and restores it unless killed.
message_cost=$(</proc/sys/net/core/message_cost)
trap 'echo "$message_cost" >/proc/sys/net/core/message_cost; rm -rf "$work"' EXIT

cd "$(dirname "$0")"
if [[ $# -gt 0 ]]; then
	program=$*
else
	program=$work/wireguard-go foreground=1
	go build -o "$program" golang.zx2c4.com/wireguard
fi
label=${program/#"$work/"/}

if [[ -n $foreground ]]; then
	cat >"$work/start" <<-END
		#!/bin/bash
		$program -f "\$1" </dev/null 3>&- &
		while ! [[ -S /var/run/wireguard/\$1.sock ]]; do
			kill -0 \$! 2>/dev/null || exit 1
			sleep 0.02
		done
	END
	chmod +x "$work/start"
	program=$work/start
fi

# Upstream's script, with a trace of the lines that it runs. The trace is set up
# on the first line, in place of "#!", so that the others keep their numbers.
source=$(go list -m -f '{{.Dir}}' golang.zx2c4.com/wireguard)/tests/netns.sh
trace='PS4='\''@:${FUNCNAME[*]}:${BASH_LINENO[*]}:$LINENO: '\''; exec 9>"$TRACE"; BASH_XTRACEFD=9; set -x'
{ echo "$trace"; tail -n +2 "$source"; } >"$work/netns.sh"

# unshare's child is process 1 of its PID namespace and dies with unshare.
began=$SECONDS status=0
TRACE=$work/trace timeout -s KILL "$limit" \
	unshare --mount --pid --fork --kill-child=KILL --mount-proc \
	bash -c 'mount -t tmpfs -o mode=755 lab /run; bash "$@"; exit' bash "$work/netns.sh" "$program" \
	>"$work/log" 2>&1 </dev/null || status=$?

# The line of the script's top level that ran last, before its cleanup. A trace
# "@:n1 tests main:70 300 0:45: ..." is of line 45, in function n1, called on
# line 70, in function tests, called on line 300.
line=$(awk -F: '
	$1 !~ /^@+$/ || $2 ~ /cleanup/ || $5 == " cleanup" { next }
	{
		callers = split($3, call, " ")
		last = callers > 1 ? call[callers - 1] : $4
	}
	END { print last + 0 }' "$work/trace")
total=$(wc -l <"$source")
section=$(head -n "$line" "$source" | grep -E '^# (Test|Now|First|After|Before|Demonstrate|Then)' | tail -n 1 || true)

echo "upstream's netns.sh with $label: $((SECONDS - began)) s, $(grep -c '\[+\]' "$work/log") steps"
echo "last of its output:"
sed 's/\x1b\[[0-9;]*m//g' "$work/log" | grep -v '^DEBUG' | grep -vE '\[\+\] ip netns del|(Private|Preshared)Key =' | tail -n 15 | sed 's/^/	/'
case $status in
0) echo "passed"; exit 0 ;;
137) echo "killed after $limit s" ;;
esac
echo "stopped at line $line of $total: $(sed -n "${line}p" "$source")"
echo "in the section: ${section:-# (set-up)}"
if [[ -n $enough && $line -ge $enough ]]; then
	echo "which is as far as is asked for (line $enough)"
	exit 0
fi
exit 1
