# tarn bench: what it measures, as table, JSON and CSV; what it refuses; what it leaves behind. No
# test looks at how fast anything is.
load lib.bash

schemas() { tarn help --man tarn-json | python3 "$SOURCE_DIR/tests/cli/schemas.py" check bench "$@"; }
queues() { cat /proc/sysvipc/msg; ls -A /dev/mqueue 2>/dev/null || true; }

# one small cell, or few
small() { tarn bench run --rounds 1 --size 8 "$@" 2>err; }

@test "list has every contestant once, with what can be measured of it" {
	run tarn bench list -n -o name
	is 0
	for name in ring section mutex recursive-mutex semaphore owned-semaphore rwlock rwlock-shared \
		seqlock seqlock-read seqlock-write spin-lock once event event-manual cond cond-section barrier \
		topic topic-timed topic-lossy topic-newest latest latest-read latest-write latest-hold \
		own-add shared-add shared-add-8 counter-add counter-add-8 histogram-record \
		counters-read counters-read-8 \
		ring-stream ring-asleep pipe unix-stream unix-datagram unix-seqpacket tcp mqueue sysv \
		vm-readv vmsplice io-uring eventfd futex; do
		grep -qx " *$name *" <<<"$output" || { echo "no $name"; return 1; }
	done
	[ -z "$(sort <<<"$output" | uniq -d)" ]
	run tarn bench list -J
	is 0
	json '.items[0].contestants | length >= 15 and all(.name and .group and .modes and .measures)'
}

@test "a cell as JSON has what tarn-json(5) says, its figures in order, and the limit beside them" {
	need python3
	[ "$(nproc)" -gt 1 ] || skip "one processor is all there is"
	before_queues=$(queues)
	small --only round-trip/pipe/blocking,one-way/ring/busy -J >bench.json
	run schemas bench.json
	is 0
	output=$(jq -c . bench.json)
	json '.schema == "tarn.bench/2" and .items[0].round_count == 1'
	json '.items[0].rows | map([.measure, .contestant, .mode, .size_bytes]) ==
		[["round-trip", "pipe", "blocking", 8], ["one-way", "ring", "busy", 8]]'
	json '.items[0].rows[] | select(.measure == "round-trip" and .rounds >= 1) |
		.p50_ns > 0 and .p50_ns <= .p90_ns and .p90_ns <= .p99_ns and .p99_ns <= .max_ns and
		.limit == "futex pair" and .limit_ns > 0 and .ratio > 0 and .messages_per_s == null'
	json '.items[0].rows[] | select(.measure == "one-way" and .rounds >= 1) |
		.messages_per_s > 0 and .bytes_per_ns > 0 and .limit == "hop" and .p50_ns == null'
	json '.items[0].rows | all(.rounds >= 1 or .discarded > 0)'
	json '.items[0].rows | all(.set_aside >= 0 and (.rounds == 0 or
		((.place | IN("near", "far", "nearer", "any")) and .bounce_ns_min <= .bounce_ns and
		.bounce_ns <= .bounce_ns_max and (.place == "any" or .bounce_ns_max <= 2.25 * .bounce_ns_min))))'
	json '.items[0] | .set_aside_count == ([.rows[].set_aside] | add) and
		([.warnings[].name] | any(. == "places")) == (.set_aside_count > 0 or any(.rows[]; .place == "far"))'
	shm_unchanged
	[ "$(queues)" = "$before_queues" ]
}

@test "each measure and each queue has its row, and nothing is left behind" {
	[ "$(nproc)" -gt 1 ] || skip "one processor is all there is"
	before_queues=$(queues)
	cells=fan-out/pipe/blocking,wake-up/pipe,open-loop/ring/blocking,write/futex,hand-over/section/blocking
	small --only "$cells,round-trip/mqueue/blocking,round-trip/sysv/blocking" -J >bench.json
	output=$(jq -c '[.items[0].rows[] | {measure, contestant, rounds, discarded, failed}]' bench.json)
	json '[.[].measure] | unique ==
		["fan-out", "hand-over", "open-loop", "round-trip", "wake-up", "write"]'
	json 'length == 7 and all(.rounds >= 1 or .discarded > 0 or (.failed | length > 10))'
	json 'map(select(.rounds >= 1)) | length > 0'
	shm_unchanged
	[ "$(queues)" = "$before_queues" ]
}

@test "what is lossy, what signals and what keeps the newest alone have sound rows" {
	[ "$(nproc)" -gt 1 ] || skip "one processor is all there is"
	cells=one-way/topic-lossy,one-way/topic-newest,round-trip/topic-newest/busy,round-trip/latest/in-place
	small --only "$cells,round-trip/event/busy,wake-up/cond/,wake-up/barrier,hand-over/once/busy" -J >bench.json
	output=$(jq -c '[.items[0].rows[] | {measure, contestant, mode, rounds, discarded, failed}]' bench.json)
	json 'length == 10 and all(.failed == null and (.rounds >= 1 or .discarded > 0))'
	json 'map(select(.rounds >= 1)) | length > 0'
	shm_unchanged
}

@test "a table has a heading and a line a row, CSV the keys of JSON and nothing else" {
	run small --only write/ring/busy
	is 0
	says "MEASURE"
	[ "$(grep -c "^write " <<<"$output")" -eq 1 ]
	run small --only write/ring/busy --csv
	is 0
	[ "${#lines[@]}" -eq 2 ]
	[[ ${lines[0]} == measure,size_bytes,contestant,group,mode,* ]]
	[[ ${lines[1]} == write,8,ring,tarn,busy,* ]]
	[ "$(tr -cd , <<<"${lines[0]}")" = "$(tr -cd , <<<"${lines[1]}")" ]
}

@test "one processor: what polls is not measured and says so, what sleeps is" {
	need taskset
	first=$(taskset -cp $$ | sed 's/.*: *//; s/[,-].*//')
	run taskset -c "$first" tarn bench run --rounds 1 --size 8 --only round-trip/pipe -J
	output=$(sed '/^tarn bench/d' <<<"$output")
	json '.items[0].rows | map({(.mode): {failed, p50_ns}}) | add |
		(.busy.failed | contains("processor")) and .blocking.failed == null and .blocking.p50_ns > 0'
	json '[.items[0].warnings[].what] | any(contains("processor"))'
	run taskset -c "$first" tarn bench run --rounds 1 --size 8 --only round-trip/pipe/busy
	is 1
	says "a processor of its own"
}

@test "pages of 2 MiB that nobody has: the row says so, and the exit code" {
	[ "$(cat /proc/sys/vm/nr_hugepages)" -eq 0 ] || skip "there are huge pages"
	run small --only write/ring/busy --pages 2m
	is 1
	grep -qi "huge\|2 MiB\|pages" <<<"${lines[*]}"
}

@test "what does not exist is refused: contestant, sub-verb, size, option" {
	run tarn bench run --only nobody-of-that-name
	is_error 3 bench
	says "tarn bench list"
	for bad in "frobnicate" "run more" "run --size 65M" "run --size x" "run --size 8,,x" "run --rounds 0" \
		"run --rounds 65" "run --pages 3k" "run --heat warm" "run --rate 0" "run --subscribers 9" \
		"run --pin maybe" "run -o nosuch" "list more" "--nosuch"; do
		# shellcheck disable=SC2086 # words
		run tarn bench $bad
		is_error 2 bench
	done
}

@test "interrupted it prints what it has, exits with the signal, and leaves no process" {
	[ "$(nproc)" -gt 1 ] || skip "one processor is all there is"
	python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp("tarn", ["tarn", "bench", "run", "--only", "round-trip/pipe", "--rounds", "64", "--time", "30", "-J"])' \
		>out 2>err 3>&- &
	until_true pgrep -x -P $! tarn
	kill -INT $!
	code=0
	wait $! || code=$?
	[ "$code" -eq 130 ]
	output=$(jq -c . out)
	json '.items[0].stopped and (.items[0].rows | length > 4)'
	[ -z "$(pgrep -P $! || true)" ]
}
