# Topics that have a type: tarn pub reads JSON objects, tarn echo prints fields.
bats_require_minimum_version 1.5.0
load lib.bash

typed() { "$BUILD_DIR/tests/cli/typed" "$P" "$@" 3>&-; }

# newest TOPIC: its last message, as tarn echo prints it
newest() { tarn echo -H 1 -1 -t 20 "$P/$1"; }

@test "a message is made of a JSON object, fields by name and by path, the others 0" {
	typed topic
	tarn pub "$P/pose" '{"x": 5}' '{"y": -9223372036854775808, "x": 2.0}' '{}' '{"y": 9223372036854775807}'
	run -0 tarn echo -H 4 -c 4 -t 20 "$P/pose"
	[ "${lines[0]}" = "x=5 y=0" ]
	[ "${lines[1]}" = "x=2 y=-9223372036854775808" ]
	[ "${lines[2]}" = "x=0 y=0" ]
	[ "${lines[3]}" = "x=0 y=9223372036854775807" ]
	tarn pub "$P/kitchen" '{"temperature": 21.5, "time": 18446744073709551615, "state": "on",
		"alarms": "hot|old", "samples": [0.1, 2, "nan"], "samples[19]": -1e3, "place": "by the \"sea\"",
		"corners": [{"x": 1}], "corners[1].y": -7, "next": 8192, "trim": -128}'
	run newest kitchen
	says "temperature=21.5 time=18446744073709551615 state=on alarms=hot|old samples[0]=0.1 samples[1]=2"
	says "samples[2]=nan samples[3]=0 "
	says 'samples[19]=-1000 place="by the \"sea\"" corners[0].x=1 corners[0].y=0 corners[1].x=0'
	says "corners[1].y=-7 next=0x2000 trim=-128"
	tarn rm "$P" --yes
}

# refused EXIT JSON WORDS...
refused()
{
	local code=$1 object=$2
	run tarn pub "$P/kitchen" '{"trim": 1}' "$object"
	is_error "$code" pub || { echo "of $object"; return 1; }
	for words in "${@:3}"; do
		says "$words" || { echo "of $object"; return 1; }
	done
}

@test "what does not fit is told: field, wanted, found; and then nothing is published" {
	typed topic
	refused 3 '{"x": 1}' "x: type sensor has no field x" "it has temperature, time"
	refused 3 '{"corners": [{"x": 1, "q": 2}]}' "corners[0].q: type point has no field q"
	refused 3 '{"corners[5].x": 1}' "found [5]"
	refused 2 '{"trim": 200}' "trim: 200 is beyond what its int8_t holds, -128 to 127"
	refused 2 '{"trim": 1.5}' "trim: '1.5' is no whole number"
	refused 2 '{"trim": null}' "trim: wanted is int8_t, found null" "left out is 0"
	refused 2 '{"trim": true}' "wanted is int8_t, found true"
	refused 2 '{"time": 18446744073709551616}' "time: 18446744073709551616 is beyond"
	refused 2 '{"time": -1}' "time: -1 is beyond"
	refused 2 '{"place": 5}' "place: wanted is text of 12, found 5"
	refused 2 '{"place": "a very long place"}' "17 bytes are given, and it has room for 12"
	refused 2 '{"state": "onn"}' "none of its values" "off=0 on=1 broken=2"
	refused 2 '{"alarms": "hot|dry"}' "none of its flags" "hot=1 wet=2 old=8"
	refused 2 '{"samples": 3}' "samples: wanted is float[20], found 3"
	refused 2 '{"corners": [{}, {}, {"x": 2}]}' "found an array of 3" "it has 2 elements"
	refused 2 '{"corners": [1]}' "corners[0]: wanted is point, found 1"
	refused 2 '{"trim": 1, "trim": 2}' "duplicate"
	refused 2 '{"trim": 1' "no JSON object"
	refused 2 'hello' "no JSON object" "messages are of type sensor: '{\"temperature\": ..."
	refused 2 '[1]' "wanted is a JSON object"
	run -0 tarn topics "$P/kitchen" -J
	json '.items[0].message_count == 0 and .items[0].type == "sensor"'
	tarn rm "$P" --yes
}

@test "lines are objects; the first that does not fit ends it, and is named" {
	typed topic
	printf '{"x": 1}\n\n  \n{"x": 2, "y": 3}' | tarn pub "$P/pose"
	run newest pose
	[ "$output" = "x=2 y=3" ]
	run -2 tarn pub "$P/pose" < <(printf '{"x": 7}\n\n{"x": "q"}\n{"x": 9}\n')
	says "$P/pose: line 3: x: 'q' is no whole number"
	run newest pose
	[ "$output" = "x=7 y=0" ]
	# what echo prints as JSON goes on to another topic
	tarn pub --type "$P/pose" -l 64K "$P/copy" '{"x": 1}'
	tarn echo -J -H all -c 4 -t 20 "$P/pose" | jq -c '[.fields[] | {(.field): .value}] | add' |
		tarn pub "$P/copy"
	run -0 tarn echo -H 4 -c 4 -t 20 "$P/copy"
	[ "$output" = $'x=3 y=-4\nx=1 y=0\nx=2 y=3\nx=7 y=0' ]
	tarn rm "$P" --yes
}

@test "bytes are as many as the type has: raw, of a file, in frames" {
	typed topic
	tarn pub --raw "$P/pose" 0123456789abcdef
	run newest pose
	[ "$output" = "x=858927408 y=7378413942531504440" ]
	run -1 tarn pub --raw "$P/pose" hello
	says "a message of 5 bytes; those of its type have 16"
	head -c 16 /dev/zero >zero
	tarn pub --file zero "$P/pose"
	run newest pose
	[ "$output" = "x=0 y=0" ]
	tarn pub -f 16 "$P/pose" < <(printf '\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0')
	run newest pose
	[ "$output" = "x=1 y=2" ]
	run -1 tarn pub --file - "$P/pose" < <(head -c 17 /dev/zero)
	says "17 bytes"
	tarn rm "$P" --yes
}

@test "a file is one message, whatever it has" {
	head -c 300000 /dev/urandom >file
	tarn pub -l 1M --file file "$P/files"
	tarn echo --raw -H 1 -1 -t 20 "$P/files" | cmp - file
	tarn pub --file - "$P/files" < <(printf 'two\nlines\n')
	run -0 tarn echo -H 1 -1 -t 20 "$P/files"
	[ "$output" = 'two\x0alines\x0a' ]
	tarn pub -c 2 --file /dev/null "$P/files"
	run -0 tarn echo -H 1 -1 -J -t 20 "$P/files"
	json '.number == 4 and .size_bytes == 0'
	run -3 tarn pub --file none "$P/files"
	run -1 tarn pub --file . "$P/files"
	says "cannot be read"
	run -2 tarn pub --file file "$P/files" text
	run -2 tarn pub --file file -f 10 "$P/files"
	tarn rm "$P" --yes
}

@test "a topic is made of the type of a struct, a latest value or a topic" {
	"$BUILD_DIR/tests/cli/typed" "${P}s" make
	"$BUILD_DIR/tests/cli/typed" "${P}l" latest
	tarn pub --type "${P}s/loose" -l 64K "$P/one" '{"x": 1}'
	tarn pub --type "${P}l/pose" -l 64K "$P/two" '{"x": 2}'
	tarn pub --type "$P/two" -l 64K "$P/three" '{"x": 3}'
	run -0 tarn topics "$P" -n -r -o topic,type -s topic
	[ "$output" = $'one point\nthree point\ntwo point' ]
	run -6 tarn pub --type "${P}s/kitchen" "$P/one" '{"x": 1}'
	says "sensor"
	run -6 tarn pub --type "${P}s/raw" "$P/four" '{"x": 1}'
	says "it has no type"
	run -3 tarn pub --type "${P}l/blob" "$P/four" '{"x": 1}'
	says "or it has no type"
	run -3 tarn pub --type "${P}l/nothing" "$P/four" '{"x": 1}'
	run -2 tarn pub --type "${P}l" "$P/four" '{"x": 1}'
	run -3 tarn pub --type "${P}x/y" "$P/four" '{"x": 1}'
	says "no such region"
	tarn rm "$P" "${P}s" "${P}l" --yes
}

@test "echo prints the fields that are asked for, one of them as it is" {
	typed topic
	tarn pub "$P/kitchen" '{"temperature": 21.5, "state": "on", "place": "\"a\", b", "corners": [{"x": 1}],
		"corners[1].y": -7}' '{"place": "x\ny\u001b"}'
	all() { tarn echo -H all -c 2 -t 20 "$@" "$P/kitchen"; }
	run -0 all -f temperature,corners[1],place
	[ "${lines[0]}" = 'temperature=21.5 corners[1].x=0 corners[1].y=-7 place="\"a\", b"' ]
	[ "${lines[1]}" = 'temperature=0 corners[1].x=0 corners[1].y=0 place="x\x0ay\x1b"' ]
	run -0 all --fields temperature
	[ "$output" = $'21.5\n0' ]
	run -0 all --fields place
	[ "$output" = $'"a", b\nx\\x0ay\\x1b' ]
	run -0 all -f corners
	[ "${lines[0]}" = 'corners[0].x=1 corners[0].y=0 corners[1].x=0 corners[1].y=-7' ]
	run -0 all -J -f state,corners[0].x
	output=${lines[0]}
	json '[.fields[] | .field, .value] == ["state", "on", "corners[0].x", 1] and .size_bytes == 160'
	run -0 all
	[[ ${lines[0]} == temperature=21.5\ time=0\ * ]]
	says 'place="x\x0ay\x1b"'
	tarn rm "$P" --yes
}

@test "echo prints comma-separated values, with a line of paths above" {
	typed topic
	tarn echo --csv -c 2 -t 20 "$P/pose" >got 3>&- &
	until_true grep -q . got # the paths are there before anything comes
	tarn pub -w 1 -t 20 "$P/pose" '{"x": 1, "y": -2}' '{"y": 3}'
	wait
	[ "$(cat got)" = $'x,y\n1,-2\n0,3' ]
	tarn pub "$P/kitchen" '{"place": "a \"b\", c", "state": "on", "alarms": "hot|old", "next": 4096}'
	run -0 tarn echo --csv -H 1 -1 -t 20 -f place,state,alarms,next,corners "$P/kitchen"
	[ "${lines[0]}" = 'place,state,alarms,next,corners[0].x,corners[0].y,corners[1].x,corners[1].y' ]
	[ "${lines[1]}" = '"a ""b"", c",on,hot|old,4096,0,0,0,0' ]
	tarn rm "$P" --yes
}

@test "echo tells of fields that are not there, which are; and of forms that exclude each other" {
	typed topic
	run -3 tarn echo -f x,z "$P/pose"
	says "type point has no field z"
	says "it has x, y"
	tarn pub -l 64K "$P/text" hello
	for form in "-f x" --csv; do
		# shellcheck disable=SC2086 # words
		run -1 tarn echo $form "$P/text"
		says "have no type, and so no fields"
	done
	for call in "--csv -J" "--csv --raw" "-x --raw" "-f x --hex" "-f x," "-f ,x" "-f x,,y"; do
		# shellcheck disable=SC2086 # words
		run tarn echo $call "$P/pose"
		is_error 2 echo
	done
	run -2 tarn echo -f "" "$P/pose"
	tarn rm "$P" --yes
}
