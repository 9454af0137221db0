# What texts claim of shared memory, measured: one cheap claim at a time.
bats_require_minimum_version 1.5.0
load lib.bash

# Claims that cost next to nothing, of each verdict but the one that needs another machine.
cheap=struct-108,ftok-key,size-mismatch,two-copies,pipe-one-copy,shared-buffers

@test "a claim is measured and judged, and its heading named" {
	run --separate-stderr tarn bench --seeds --quick --only struct-108
	is 0
	says "Shared Memory Concept Explained: Memory Layout"
	says "claimed: int, char[100] and bool take 108 bytes"
	says holds
	says "1 of 1 met"
}

@test "a claim that does not hold says why" {
	run --separate-stderr tarn bench --seeds --quick --only pipe-one-copy
	is 0
	says "does not hold"
	says "why: pipe: once into the kernel's buffer and once out of it"
}

@test "the JSON is as its schema says, and gives every claim its heading, verdict and reason" {
	need jq
	run --separate-stderr tarn bench --seeds --quick -J --only "$cheap"
	is 0
	printf '%s\n' "$output" >seeds.json
	tarn help --man tarn-json |
		python3 "$SOURCE_DIR/tests/cli/schemas.py" check bench seeds.json
	json '[.items[0].claims[].name] | length == 6'
	json 'all(.items[0].claims[]; .guide != "" and .heading != "" and .claim != null)'
	json 'all(.items[0].claims[]; .verdict == "holds" or (.why | length) > 0)'
	json 'all(.items[0].claims[].figures[]; .median == null or
		(.min <= .median and .median <= .max and .rounds > 0))'
	json '.items[0].claims[] | select(.name == "two-copies") | .verdict == "holds" and
		[.figures[].median] == [2, 2, 0]'
	json '.items[0].claims[] | select(.name == "shared-buffers") |
		.verdict == "cannot be measured here" and .figures == [] and .measured == null'
	json '.items[0].claims[] | select(.name == "size-mismatch") | .verdict == "does not hold"'
}

@test "columns and CSV have one row a claim" {
	run --separate-stderr tarn bench --seeds --quick --only struct-108,pipe-one -o name,verdict -n
	is 0
	[ "${#lines[@]}" -eq 2 ]
	[[ ${lines[0]} =~ ^pipe-one-copy\ +does\ not\ hold ]]
	[[ ${lines[1]} =~ ^struct-108\ +holds ]]
	run --separate-stderr tarn bench --seeds --quick --only struct-108 --csv
	is 0
	[ "${#lines[@]}" -eq 2 ]
	[[ ${lines[0]} == name,guide,heading,claim,measured,verdict,why,figures ]]
}

@test "a claim that needs two processors says so where there is one" {
	need taskset
	run --separate-stderr taskset -c "$(taskset -cp $$ | sed 's/.*: *\([0-9]*\).*/\1/')" \
		"$TARN" bench --seeds --quick -J --only no-kernel,false-sharing
	is 1
	json 'any(.items[0].claims[]; (.why // "") | contains("two processors"))'
}

@test "an interrupt ends it, and leaves no process and no name" {
	tarn bench --seeds -J >out 2>err 3>&- &
	pid=$!
	until_true pgrep -P $pid
	kill -INT $pid
	status=0
	wait $pid || status=$?
	[ "$status" -eq 130 ]
	run pgrep -f "^tarn bench --seeds -J$"
	[ -z "$output" ]
	shm_unchanged
	need jq
	jq -e '.complete == false and .items == []' out
}

@test "options that say nothing of claims, and names of none, are refused" {
	run tarn bench --seeds --size 8
	is_error 2 bench
	says "--size says nothing of --seeds"
	run tarn bench list --seeds
	is_error 2 bench
	run tarn bench --seeds --rounds 0
	is_error 2 bench
	run tarn bench --seeds --only nobody-claims-this
	is_error 3 bench
	says "no claim is named 'nobody-claims-this'"
}
