# shellcheck shell=bash disable=SC2154,SC2059 # status and output are bats's; printf reads escapes
# What the bats files share. Names of test objects begin with $P.
PATH=$(dirname "$TARN"):$PATH
P=cli$$

need_own_shm() { [ "${OWN_SHM-}" ] || skip "needs root, for a /dev/shm of its own"; }
need() { command -v "$1" >/dev/null || skip "$1 is not installed"; }

setup()
{
	cd "$BATS_TEST_TMPDIR" || return
	unset NO_COLOR
	export LC_ALL=C.UTF-8
	before=$(ls -A /dev/shm)
}

# Nothing of a test may stay, and only what it started is ended.
teardown()
{
	local pids
	pids=$(jobs -p)
	# shellcheck disable=SC2086 # a list
	[ -z "$pids" ] || kill -9 $pids 2>/dev/null
	rm -f "/dev/shm/$P"* 2>/dev/null
	true
}

# status IS wanted, for a command that `run` ran
is()
{
	[ "$status" -eq "$1" ] && return
	echo "exit code $status, expected $1; said: $output"
	return 1
}

says()
{
	[[ $output == *"$1"* ]] && return
	echo "does not say: $1"
	echo "says: $output"
	return 1
}

# Every error of the tool is "tarn VERB: ...".
is_error() { is "$1" && says "tarn $2:"; }

shm_unchanged()
{
	local now
	now=$(ls -A /dev/shm)
	[ "$now" = "$before" ] && return
	echo "in /dev/shm before: $before; now: $now"
	return 1
}

json() { jq -e "$1" <<<"$output" >/dev/null || { echo "not so: $1; in: $output"; return 1; }; }

# Wait until a condition holds, at most 10 s.
until_true()
{
	for _ in $(seq 1000); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.01
	done
	echo "never came true: $*"
	return 1
}

# Overwrite BYTES (as printf writes them) of region NAME at OFFSET.
poke() { printf "$3" | dd of="/dev/shm/$1" bs=1 seek="$2" conv=notrunc status=none; }
