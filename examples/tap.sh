# What the run scripts share. Sourced with the arguments of the script: BUILD/examples TARN.
# shellcheck shell=bash
set -u
bin=$1 tarn=$2 count=0 failed=0
work=$(mktemp -d "${TMPDIR:-/tmp}/tarn-examples.XXXXXX")
trap 'rm -rf "$work"' EXIT

# verdict STATUS FACT: one case
verdict()
{
	count=$((count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $count - $2"
	else
		echo "not ok $count - $2"
		sed 's/^/# /' "$work/out" 2>/dev/null
		failed=1
	fi
}

# skip REASON FACT: a case that this machine cannot have
skip()
{
	count=$((count + 1))
	echo "ok $count - $2 # SKIP $1"
}

# run PROGRAM ARGUMENTS...: its output is kept in $work/out, and its end is the result
run()
{
	local program=$1
	shift
	timeout 120 "$bin/example-$program" "$@" >"$work/out" 2>&1
}

# says PATTERN: a line of the output is this, as a whole
says()
{
	grep -qEx -- "$1" "$work/out"
}

# seen COMMAND...: it succeeds in one of a hundred tries, for what only happens now and then
seen()
{
	local try
	for ((try = 0; try < 100; try++)); do
		"$@" && return 0
	done
	return 1
}

# patient COMMAND...: it succeeds within 20 s, for what another process is still about to do
patient()
{
	local try
	for ((try = 0; try < 400; try++)); do
		"$@" && return 0
		sleep 0.05
	done
	return 1
}

# finish: the plan and the end
finish()
{
	echo "1..$count"
	exit $failed
}
