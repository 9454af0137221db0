# tarn pub, tarn echo and tarn topics: messages by text, lines and frames, in either order; history, JSON,
# limits; who is there, and who holds whom up.
bats_require_minimum_version 1.5.0
load lib.bash

lines_in() { [ "$(wc -l <"$1")" -ge "$2" ]; }

@test "echo first, then pub: nothing is lost, and both end" {
	tarn echo -c 3 -t 20 "$P/news" >got 3>&- &
	tarn pub -w 1 -t 20 "$P/news" one 'two words' $'three\tand\x01'
	wait
	[ "$(cat got)" = $'one\ntwo words\nthree\tand\\x01' ]
	tarn rm "$P" --yes
}

@test "pub first: echo gets what comes then, or history" {
	printf 'a\n\nc' | tarn pub "$P/news"
	run -0 tarn echo -H all -c 3 -t 20 "$P/news"
	[ "$output" = $'a\n\nc' ]
	run -0 tarn echo -H 1 -1 -t 20 "$P/news"
	[ "$output" = c ]
	run -5 tarn echo -t 0.1 "$P/news"
	[[ $output == *"no message has come"* ]]
	tarn pub -c 2 "$P/news" x y
	run -0 tarn echo -H 4 -c 4 -t 20 "$P/news"
	[ "$output" = $'x\ny\nx\ny' ]
	tarn check "$P"
	tarn rm "$P" --yes
	run -5 tarn echo -t 0.1 "$P/news"
	[[ $output == *"no such topic"* ]]
}

@test "frames come whole, and the bytes alone go out as they came" {
	head -c 100000 /dev/urandom >frames
	tarn pub -f 1000 -l 256K "$P/frames" <frames
	tarn echo --raw -H all -c 100 -t 20 "$P/frames" >back
	cmp frames back
	run -0 tarn echo --hex -H 1 -1 -t 20 "$P/frames"
	[ "$output" = "$(tail -c 1000 frames | od -An -v -tx1 | tr -d ' \n')" ]
	head -c 1500 frames >odd
	run -1 tarn pub -f 1000 "$P/frames" <odd
	[[ $output == *"ends with 500 bytes, and a frame has 1000"* ]]
	tarn rm "$P" --yes
}

@test "as JSON each line is an object by its schema" {
	tarn pub "$P/news" 'say "hi"' $'\x01'
	tarn echo --look -J -H all -c 2 -t 20 "$P/news" >lines
	output=$(sed -n 1p lines)
	json '.schema == "tarn.echo/1" and .number == 1 and .missed == 0 and .text == "say \"hi\"" and
	      .hex == null and .size_bytes == 8 and .publisher == 0'
	output=$(sed -n 2p lines)
	json '.number == 2 and .text == null and .hex == "01"'
	need python3
	tarn help --man tarn-json | python3 "$SOURCE_DIR/tests/cli/schemas.py" check echo lines
	tarn rm "$P" --yes
}

@test "a message that is too large is told both sizes; a lossless echo holds pub up, and is named" {
	tarn pub -l 4096 "$P/small" a
	head -c 3000 /dev/zero | tr '\0' x >large
	run -1 tarn pub -l 4096 "$P/small" <large
	[[ $output == *"a message of 3000 bytes; the largest has 1984"* ]]
	tarn echo --lossless "$P/small" >got 3>&- &
	echo=$!
	tarn pub -w 1 -t 20 "$P/small" b
	until_true lines_in got 1
	kill -STOP "$echo"
	run -5 tarn pub -c 0 -t 0.2 "$P/small" c
	kill -CONT "$echo"
	kill "$echo"
	[[ $output == *"process $echo has not taken"* ]]
	wait || true
	tarn rm "$P" --yes
}

@test "pub goes on in a larger lane, region and all, if --lane is not given" {
	head -c 3000 /dev/zero | tr '\0' x >large
	head -c 9000000 /dev/zero | tr '\0' y >huge
	tarn pub -l 4096 "$P/grows" a
	tarn echo --lossless --raw -c 4 "$P/grows" >got 3>&- &
	echo=$!
	{ echo b && cat large && echo && cat huge && echo && echo c; } |
		tarn pub -w 1 -t 20 "$P/grows"
	wait "$echo"
	{ printf b && cat large huge && printf c; } | cmp - got
	run -1 tarn pub -l 4096 "$P/grows" --file huge
	[[ $output == *"a message of 9000000 bytes; the largest has 1984"* ]]
	tarn rm "$P" --yes
}

@test "what is no topic, and options that are none, are said" {
	run -2 tarn pub nothing
	[[ $output == *"REGION/TOPIC"* ]]
	run -2 tarn pub -r 0 "$P/news" x
	run -2 tarn pub -f 10 "$P/news" x
	run -2 tarn echo --look --lossless "$P/news"
	tarn create "$P"
	tarn pub -l 4096 "$P/news" x
	run -2 tarn echo -t 1 "$P/news:0"
	[[ $output == *"':' is not possible in its name"* ]]
	run -1 tarn rm "$P/news:0" --yes
	tarn rm "$P" --yes
}

@test "topics lists who is there, what is kept, and who misses; and is seen by nobody" {
	tarn pub -c 5 "$P/news" one two
	tarn pub -l 4096 "$P/small" a
	local before
	before=$(md5sum <"/dev/shm/$P")
	run -0 tarn topics "$P"
	[[ $output =~ $P/news\ +-\ +0\ +0\ +10\ +1.0\ MiB\ +- ]]
	[[ $output =~ $P/small\ +-\ +0\ +0\ +1\ +48.3\ KiB ]] || says "$P/small"
	run -0 tarn topics "$P/news"
	[[ $output =~ messages\ +10 ]]
	[[ $output =~ 0\ +-\ +-\ +gone\ +10\ +10\ +1\ MiB\ +- ]]
	run -0 tarn topics "$P" -v
	says "$P/small"
	run -0 tarn topics "$P" --csv
	[ "${lines[0]%%,*}" = name ]
	[[ ${lines[1]} == "$P/news,,0,0,10,"* ]]
	run -0 tarn topics "$P" -n -r -o topic -s -message_count
	[ "$output" = $'news\nsmall' ]
	[ "$(md5sum <"/dev/shm/$P")" = "$before" ]
	tarn echo --lossless "$P/news" >got 3>&- &
	local echo=$!
	tarn echo --look "$P/news" >/dev/null 3>&- & # seen by nobody
	tarn pub -w 1 -t 20 -c 2 "$P/news" b
	until_true lines_in got 2
	run -0 tarn topics "$P/news" -J
	json ".items | length == 1 and (.[0] | .publisher_count == 0 and .subscriber_count == 1 and
	      .message_count == 12 and .publishers[0].state == \"gone\" and .held_up == null and
	      (.subscribers | length == 1 and (.[0] | .pid == $echo and .command == \"tarn\" and
	      .policy == \"lossless\" and .kept == 0 and .missed == 0 and .state == \"alive\")))"
	tarn rm "$P" --yes
}

@test "topics names the subscriber that holds a publisher up" {
	tarn pub -l 4096 "$P/small" a
	run -0 tarn topics "$P" --held-up
	[ -z "$output" ]
	tarn echo --lossless "$P/small" >got 3>&- &
	local echo=$! pub
	tarn pub -w 1 -t 20 "$P/small" b
	until_true lines_in got 1
	kill -STOP "$echo"
	tarn pub -c 0 "$P/small" c 3>&- 2>/dev/null &
	pub=$!
	until_true sh -c "tarn topics $P/small | grep -q waits"
	run -1 tarn topics "$P" --held-up
	says "$pub (tarn) by $echo (tarn)"
	run -0 tarn topics "$P/small"
	[[ $output =~ 0\ +$pub\ +tarn\ +waits\ +[0-9]+\ +[0-9]+\ +4\ KiB\ +$echo\ \(tarn\) ]]
	run -0 tarn topics "$P/small" -J
	json ".items[0] | .publishers[0].held_up_by_pid == $echo and .subscribers[0].kept > 30"
	kill -9 "$pub"
	wait "$pub" || true # first: it would free the place of the other
	kill -9 "$echo"
	wait "$echo" || true
	run -0 tarn topics "$P/small" -J
	json '.items[0] | .publishers[0].state == "dead" and .subscribers[0].state == "dead" and
	      .publisher_count == 0 and .held_up == null'
	tarn rm "$P" --yes
}

@test "info says for which process how many messages of a topic stay" {
	tarn pub -l 4096 "$P/small" a
	run -0 tarn info "$P"
	[[ $output != *HOLDS-UP* ]]
	tarn echo --lossless "$P/small" >got 3>&- &
	local echo=$! pub
	tarn pub -w 1 -t 20 "$P/small" b
	until_true lines_in got 1
	until_true sh -c "tarn info $P -J | jq -e '.items[0].topic_holders == []'" # it has taken all
	kill -STOP "$echo"
	tarn pub -t 20 "$P/small" c c c c c c c c
	run -0 tarn info "$P" -J
	json ".items[0].topic_holders | length == 1 and (.[0] | .topic == \"small\" and .pid == $echo and
	      .kept == 8 and .policy == \"lossless\" and .holds_up == null and .holds_up_pid == null)"
	tarn pub -c 0 "$P/small" c 3>&- 2>/dev/null &
	pub=$!
	until_true sh -c "tarn topics $P/small | grep -q waits"
	run -0 tarn info "$P/small"
	[[ $output =~ small\ +$echo\ +tarn\ +alive\ +lossless\ +[0-9]+\ +$pub\ \(tarn\) ]]
	run -0 tarn info "$P" -J
	json ".items[0].topic_holders | length == 1 and (.[0] | .pid == $echo and .command == \"tarn\" and
	      .state == \"alive\" and .kept > 30 and .holds_up == \"$pub (tarn)\" and .holds_up_pid == $pub)"
	kill -9 "$pub" "$echo"
	wait "$pub" "$echo" || true
	tarn rm "$P" --yes
}

@test "topics tells what a lossy subscriber missed" {
	tarn pub -l 4096 "$P/small" a
	tarn echo "$P/small" >got 2>err 3>&- &
	local echo=$!
	tarn pub -w 1 -t 20 "$P/small" b
	until_true lines_in got 1
	kill -STOP "$echo"
	tarn pub -c 1000 "$P/small" c
	kill -CONT "$echo"
	until_true grep -q missed err
	run -0 tarn topics "$P/small" -J
	json '.items[0] | .missed_count > 900 and .subscribers[0].missed == .missed_count and
	      .subscribers[0].policy == "lossy"'
	says "$(grep -o '[0-9]* messages' err | head -1 | cut -d' ' -f1)"
	tarn rm "$P" --yes
}

@test "of what is no topic topics says so" {
	run -3 tarn topics "$P"
	[[ $output == "tarn topics:"*"no such region"* ]]
	tarn pub "$P/news" a
	run -3 tarn topics "$P/nws"
	says "did you mean '$P/news'?"
	run -1 tarn topics "$P/news:0"
	says "it is of kind lane, and no topic"
	run -2 tarn topics --csv -J
	tarn rm "$P" --yes
}
