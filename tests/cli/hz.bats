# tarn hz, tarn bw, tarn delay: rate, bandwidth and delay of a topic, without a trace. No time is asserted but
# where a rate was set, and then within what any machine keeps.
bats_require_minimum_version 1.5.0
load lib.bash

typed() { "$BUILD_DIR/tests/cli/typed" "$P" "$@" 3>&-; }
schemas() { tarn help --man tarn-json | python3 "$SOURCE_DIR/tests/cli/schemas.py" "$@"; }

# tick TOPIC RATE [ARGUMENT...]: publishes until it is killed: $ticker
tick()
{
	tarn pub -c 0 -r "$2" "${@:3}" "$P/$1" 'twenty bytes of text' 3>&- 2>err &
	ticker=$!
	until_true sh -c "tarn topics $P/$1 -J | jq -e '.items[0].message_count > 0'"
}

untick() { kill "$ticker"; wait "$ticker" || true; }

@test "a rate that is set is the rate that is measured; text, JSON, window and count" {
	tick tick 100
	run -0 tarn hz -i 0.5 -t 20 "$P/tick"
	[[ ${lines[0]} =~ ^average\ rate:\ [0-9]+\.[0-9]{3}$ ]]
	[[ ${lines[1]} =~ ^$'\t'min:\ 0\.[0-9]+s\ max:\ 0\.[0-9]+s\ std\ dev:\ 0\.[0-9]+s\ window:\ [0-9]+$ ]]
	run -0 tarn hz -i 0.3 -c 3 -w 10 -J -t 20 "$P/tick"
	[ "${#lines[@]}" = 3 ]
	output=${lines[2]}
	json '.schema == "tarn.hz/1" and .name == "'"$P"'/tick" and .window == 10 and .missed_count == 0 and
	      .message_count > 30 and .stamped and .rate_hz > 20 and .rate_hz < 500 and
	      .min_ns <= 1e9 / .rate_hz and .max_ns >= 1e9 / .rate_hz and .stddev_ns >= 0'
	run -0 tarn topics "$P/tick" -J # they are seen by nobody
	json '.items[0].subscribers == []'
	untick
	tarn rm "$P" --yes
}

@test "bandwidth is rate by size, of messages and a second" {
	tick tick 100
	run -0 tarn bw -i 0.5 -t 20 "$P/tick"
	[[ ${lines[0]} =~ ^[0-9.]+\ (B|KiB)/s\ from\ [0-9]+\ messages,\ min:\ .*/s\ max:\ .*/s$ ]]
	[[ ${lines[1]} =~ ^$'\t'Message\ size\ mean:\ 20\ B\ min:\ 20\ B\ max:\ 20\ B\ window:\ [0-9]+$ ]]
	tarn pub "$P/tick" 'and one of forty bytes, which is larger ' &
	run -0 tarn bw -i 0.5 -t 20 -J -c 2 "$P/tick"
	output=${lines[1]}
	json '.bytes_per_second > 400 and .bytes_per_second < 10000 and .min_bytes == 20 and
	      .min_bytes_per_second <= .bytes_per_second and .max_bytes_per_second >= .bytes_per_second and
	      .mean_bytes >= 20 and .mean_bytes <= 40'
	wait "$!" || true
	untick
	tarn rm "$P" --yes
}

@test "delay is said with median and 99 of 100; by looking all the time it is not longer" {
	tick tick 200
	run -0 tarn delay -i 0.5 -t 20 "$P/tick"
	[[ ${lines[0]} =~ ^average\ delay:\ [0-9]+\.[0-9]+$ ]]
	[[ ${lines[2]} =~ ^$'\t'median:\ [0-9.]+s\ 99%:\ [0-9.]+s$ ]]
	run -0 tarn delay -i 0.5 -t 20 -J "$P/tick"
	json '0 <= .min_ns and .min_ns <= .median_ns and .median_ns <= .p99_ns and .p99_ns <= .max_ns and
	      .mean_ns <= .max_ns and .untimed_count == 0'
	run -0 tarn delay --spin -i 0.5 -t 20 -J "$P/tick"
	json '.min_ns >= 0 and .message_count > 10'
	untick
	tarn rm "$P" --yes
}

@test "messages that do not say when: delay says so and ends, rates go by when they are seen" {
	typed silent &
	until_true tarn topics "$P/silent"
	run -1 tarn delay -i 0.2 -t 20 "$P/silent"
	says "do not say when they were published"
	says "TARN_TOPIC_NO_TIME"
	says "none of"
	run --separate-stderr -0 tarn hz -i 0.3 -t 20 -J "$P/silent"
	json '.rate_hz > 5 and .rate_hz < 2000 and (.stamped | not)'
	[[ $stderr == *"by when they are seen, to a millisecond"* ]]
	kill %1
	wait %1 || true
	tarn rm "$P" --yes
}

@test "what is too fast to be seen is counted, holds nobody up, and is in the rate" {
	tarn pub -c 0 -l 4096 "$P/flood" 'twenty bytes of text' 3>&- 2>err &
	local pub=$! before after rate
	until_true tarn topics "$P/flood"
	before=$(tarn topics "$P/flood" -J | jq '.items[0].message_count')
	run -0 tarn hz -c 1 -i 0.5 -t 20 -J "$P/flood"
	json '.missed_count > 1000'
	rate=$(jq '.rate_hz | floor' <<<"$output")
	after=$(tarn topics "$P/flood" -J | jq '.items[0].message_count')
	[ $((after - before)) -gt 1000 ]
	[ "$rate" -gt 10000 ]
	run -0 tarn hz -i 0.2 -t 20 "$P/flood"
	says " missed: "
	run -0 tarn topics "$P/flood" --held-up
	[ "$(wc -c <err)" = 0 ]
	kill "$pub"
	wait "$pub" || true
	tarn rm "$P" --yes
}

@test "what was missed is counted exactly, and is in the rate, and not in the times" {
	tarn pub -l 4096 "$P/gap" a
	tarn hz -i 0.3 -c 0 -J "$P/gap" >got 2>told 3>&- &
	local hz=$!
	until_true grep -q "no message has come yet" told
	tarn pub "$P/gap" one
	sleep 0.3
	kill -STOP "$hz"
	tarn pub -c 1000 -r 2000 "$P/gap" two
	kill -CONT "$hz"
	until_true sh -c "tail -1 got | jq -e '.message_count > 10'"
	kill -INT "$hz"
	wait "$hz"
	output=$(tail -1 got)
	json '.message_count + .missed_count == 1001 and .missed_count > 900 and .rate_hz > 100 and
	      .max_ns < 300000000'
	tarn rm "$P" --yes
}

@test "nothing is written: the region stays as it was" {
	tarn pub "$P/news" a b c
	local before
	before=$(md5sum <"/dev/shm/$P")
	for verb in hz bw delay; do
		run -5 tarn $verb -t 0.2 "$P/news"
		[[ $output == *"tarn $verb: $P/news: no message has come in the time allowed"* ]]
	done
	[ "$(md5sum <"/dev/shm/$P")" = "$before" ]
	tarn rm "$P" --yes
}

@test "what is not there yet is waited for, what was removed is said, a signal prints what there is" {
	tarn hz -i 100 -J "$P/tick" >got 3>&- &
	local hz=$!
	tick tick 100
	sleep 0.5
	kill -INT "$hz"
	wait "$hz"
	output=$(cat got)
	json '.message_count > 2'
	untick
	run -5 tarn bw -t 0.1 "$P/none"
	says "there was no such topic in the time allowed"
	timeout 20 tarn delay "$P/tick" 2>told 3>&- &
	hz=$!
	until_true grep -q "no message has come yet" told
	tarn rm "$P" --yes
	code=0
	wait "$hz" || code=$?
	[ "$code" = 3 ]
	grep -q "it was removed" told
}

@test "echo ends when its topic was removed" {
	tarn pub "$P/news" a
	timeout 20 tarn echo "$P/news" 2>told 3>&- &
	local echo=$! code=0
	until_true sh -c "tarn topics $P/news -J | jq -e '.items[0].subscriber_count == 1'"
	tarn rm "$P/news" --yes
	wait "$echo" || code=$?
	[ "$code" = 3 ]
	grep -q "it was removed" told
	tarn rm "$P" --yes
}

@test "options that are none" {
	for call in "hz -w 1" "hz -i 0" "bw -c x" "hz --spin" "delay -t x"; do
		# shellcheck disable=SC2086 # words
		run tarn $call "$P/x"
		is_error 2 "${call%% *}"
	done
	run -2 tarn hz "$P"
	says "REGION/TOPIC"
}

@test "several that begin at once make one region" {
	for i in {1..8}; do
		tarn pub -l 64K "$P/t$i" x 2>>err 3>&- &
	done
	wait
	[ ! -s err ] || { cat err; return 1; }
	run -0 tarn topics "$P" -n -r -o topic -s topic
	[ "${#lines[@]}" = 8 ]
	tarn rm "$P" --yes
}
