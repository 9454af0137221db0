# bench compare, bench picture, bench machine: on results that nobody measured (benchmade), so that
# what is right is known.
bats_require_minimum_version 1.5.0
load lib.bash

made() { "$SOURCE_DIR/tests/cli/benchmade" "$@"; }
compare() { run tarn bench compare "$1" "$2"; }
compare_json() { run tarn bench compare -J "$1" "$2"; }

@test "two results of the same with noise: no difference, whatever the noise" {
	for noise in 0 0.02 0.3; do
		for seed in 1 2; do
			made --seed $seed --noise $noise >a.json
			made --seed $((seed + 10)) --noise $noise >b.json
			compare a.json b.json
			is 0
			says "0 slower, 0 faster, $(jq '.items[0].rows | length' a.json) no difference"
		done
	done
}

@test "a slow-down of 20 % is called slower in all rows of what got slow, and in no other" {
	made --seed 1 >a.json
	made --seed 2 --slow ring=1.2 >b.json
	compare a.json b.json
	is 1
	compare_json a.json b.json
	is 1
	json '[.items[0].compared[] | select(.verdict == "slower") | .contestant] | unique == ["ring"]'
	json '[.items[0].compared[] | select(.contestant == "ring") | .verdict] | unique == ["slower"]'
	json '[.items[0].compared[] | select(.contestant == "ring") | .ratio > 1.1 and .ratio < 1.3 and
		.ratio_min < .ratio and .ratio < .ratio_max] | all'
	compare_json b.json a.json
	is 0
	json '[.items[0].compared[] | select(.contestant == "ring") | .verdict] | unique == ["faster"]'
}

@test "what the limits explain, too few rounds or too wide a spread is not called a difference" {
	made --seed 1 >a.json
	made --seed 2 --slow ring=1.2 --limit 1.3 >b.json
	compare_json a.json b.json
	is 0
	json '[.items[0].compared[] | select(.contestant == "ring") | .why] | index("the limit moved as far")'
	for way in "--rounds 2" "--rounds 3 --noise 0.1" "--noise 0.2"; do
		# shellcheck disable=SC2086 # words
		made --seed 1 $way >a.json
		# shellcheck disable=SC2086 # words
		made --seed 2 $way --slow ring=1.1 >b.json
		compare_json a.json b.json
		is 0
		json '[.items[0].compared[].why | select(. != null)] | length > 10'
	done
	made --seed 1 --noise 0 >a.json
	made --seed 1 --noise 0 --slow ring=1.04 >b.json
	compare_json a.json b.json
	is 0
	json '[.items[0].compared[].why] | index("too small a difference")'
}

@test "rows that only one has, or that failed in one, are said to be so" {
	made >a.json
	made --without TCP --fail pipe >b.json
	compare a.json b.json
	is 0
	says "12 only first"
	compare_json a.json b.json
	json '[.items[0].compared[] | select(.contestant == "pipe") | .verdict + ": " + .why] | unique ==
		["only first: it hung: no message for 10 s"]'
	json '[.items[0].compared[] | select(.contestant == "TCP") | .verdict] | unique == ["only first"]'
	compare_json b.json a.json
	json '[.items[0].compared[] | select(.contestant == "TCP") | .verdict] | unique == ["only second"]'
	compare_json b.json b.json
	json '[.items[0].compared[] | select(.contestant == "pipe") | .verdict] | unique == ["neither"]'
}

@test "different machines are said to be different, and ratios to the limit are compared" {
	made --seed 1 >a.json
	made --seed 2 --cpu "Slide rule" --slow ring=1.5 --limit 2 >b.json
	compare a.json b.json
	says "different machines"
	says "Slide rule"
	compare_json a.json b.json
	json '.items[0].differences == [{name: "cpu", first: "Abacus 9000", second: "Slide rule", identity: true}]'
	json '[.items[0].compared[].unit] | unique == ["of the limit"]'
	made --seed 1 | jq '(.items[0].facts[] | select(.name == "kernel") | .value) = "6.2.0"' >b.json
	compare_json a.json b.json
	is 0
	json '.items[0].differences == [{name: "kernel", first: "6.1.0", second: "6.2.0", identity: false}]'
	json '[.items[0].compared[].unit] | index("ns")'
}

@test "rows of sleepers, and of those that found each other awake, are unlike" {
	made --seed 1 --sleep 1.4 >a.json
	made --seed 2 --sleep 0.4 >b.json
	for pair in "a.json b.json" "b.json a.json"; do
		# shellcheck disable=SC2086 # words
		compare_json $pair
		is 0
		json '[.items[0].compared[] | select(.measure == "round-trip" and .contestant == "pipe") | .verdict] |
			unique == ["unlike"]'
		json '[.items[0].compared[] | select(.verdict == "unlike") | .why] | all(contains("awake"))'
	done
	made --seed 3 --sleep 1.9 >c.json # asleep in both: like
	compare_json a.json c.json
	is 1
	json '[.items[0].compared[] | select(.contestant == "pipe") | .verdict] | index("slower")'
}

@test "where the limit moved the ratios to it are to be apart, too" {
	made --seed 1 --sleep 1.4 --wide >a.json
	made --seed 2 --sleep 1.2 --wide --limit 0.7 >b.json
	compare_json a.json b.json
	json '[.items[0].compared[] | select(.measure == "round-trip" and .contestant == "pipe") | .why] |
		unique == ["the limit moved, and beside it the rounds overlap"]'
	made --seed 2 --sleep 1.2 --limit 0.7 >b.json
	made --seed 1 --sleep 1.4 >a.json
	compare_json a.json b.json
	json '[.items[0].compared[] | select(.measure == "round-trip" and .contestant == "pipe") | .verdict] |
		unique == ["faster"]'
}

@test "rows of near processors and rows of far ones are unlike, which is neither slower nor an error" {
	made --seed 1 >a.json
	made --seed 2 --far ring >b.json
	compare a.json b.json
	is 0
	says "0 slower, 0 faster"
	says "unlike are not compared"
	for pair in "a.json b.json" "b.json a.json"; do
		# shellcheck disable=SC2086 # words
		compare_json $pair
		is 0
		json '[.items[0].compared[] | select(.contestant == "ring") | .verdict] | unique == ["unlike"]'
		json '[.items[0].compared[] | select(.contestant != "ring") | .verdict] |
			unique == ["no difference"]'
		json '[.items[0].compared[] | select(.verdict == "unlike") | .why] | all(contains("far"))'
	done
	made --seed 3 --far ring --slow ring=1.5 >c.json # far in both: like again
	compare_json b.json c.json
	json '[.items[0].compared[] | select(.contestant == "ring") | .verdict] | unique == ["slower"]'
	jq 'del(.items[0].rows[].place)' b.json >old.json # of a version that did not tell
	compare_json a.json old.json
	json '[.items[0].compared[] | select(.contestant == "ring") | .verdict] | unique == ["unlike"]'
	made --seed 2 --far ring --cpu "Slide rule" >b.json # another machine
	compare_json a.json b.json
	json '[.items[0].compared[] | select(.contestant == "ring") | .verdict] | unique == ["unlike"]'
	made --seed 2 --alone pipe --slow pipe=4.5 >b.json # one process alone
	compare_json a.json b.json
	json '[.items[0].compared[] | select(.contestant == "pipe") | .verdict] | unique == ["slower"]'
}

# refused TEXT: b.json is damaged, which compare and picture say by exit code and by TEXT
refused()
{
	local text=$1
	for words in "compare a.json b.json" "picture b.json x.svg"; do
		# shellcheck disable=SC2086 # words
		run tarn bench $words
		is_error 6 bench
		says "b.json: "
		says "$text"
		[ ! -e x.svg ]
	done
}

@test "a file that is cut off, empty, huge, no JSON or no result is an error that says so" {
	made >a.json
	: >b.json
	refused "is empty"
	for size in 1 100 5000; do
		head -c $size a.json >b.json
		refused "it was cut off"
	done
	head -c 3000 /dev/zero >b.json
	refused "is no JSON: line 1, column 1"
	echo "measure,contestant" >b.json
	refused "is no JSON: line 1"
	truncate -s 65M b.json
	refused "larger than 64 MiB"
	printf '%05000d' 0 | tr 0 '[' >b.json
	refused "is no JSON"
	sed 's/"schema"/"schema": "tarn.bench\/2", "schema"/' a.json >b.json
	refused "duplicate"
	tarn limits -J >b.json || true
	refused "is of the schema tarn.limits/1, not tarn.bench"
	for version in 1 3 x; do
		jq ".schema = \"tarn.bench/$version\"" a.json >b.json
		refused "is of version $version of the schema tarn.bench; this is for version 2"
	done
	for change in '[]' '"x"' 'null' '.items = []' '.items = {}' 'del(.items)' 'del(.items[0].rows)' \
		'.items[0].rows = {}' '.items[0].rows = 7'; do
		jq "$change" a.json >b.json
		refused ""
	done
}

@test "a row that cannot be is an error that names the row and the key" {
	made >a.json
	while IFS=@ read -r change text; do
		jq ".items[0].rows[3]$change" a.json >b.json
		refused "$text"
	done <<-'ROWS'
		 = 5@row 4: is a whole number, not an object
		 = []@row 4: is an array, not an object
		 = {}@row 4: "measure" is nothing, not text
		.measure = null@row 4: "measure" is null, not text
		.contestant = 7@row 4: "contestant" is a whole number, not text
		.mode = true@row 4: "mode" is true, not text
		.size_bytes = -1@row 4: "size_bytes" is below 0
		.size_bytes = "8"@row 4: "size_bytes" is text, not a whole number
		.size_bytes = 8.5@row 4: "size_bytes" is a number, not a whole number
		.p50_ns = "fast"@row 4: "p50_ns" is text, not a number
		.p50_ns = -3@row 4: "p50_ns" is -3, which nothing can measure
		.p50_ns = 1e308@row 4: "p50_ns" is 1e+308, which is not between
		.p50_ns_min = 1e9@row 4: "p50_ns" is
		.p50_ns = null@row 4: "p50_ns" is 0, which is not between
		 |= del(.p50_ns, .p50_ns_min, .p50_ns_max)@row 4: has neither a figure nor a reason
	ROWS
}

@test "what is not there, may not be read or is a folder has an exit code of its own" {
	made >a.json
	run tarn bench compare a.json "$P.none"
	is_error 3 bench
	run tarn bench picture "$P.none" x.svg
	is_error 3 bench
	run tarn bench compare a.json .
	is_error 1 bench
	run tarn bench picture a.json "$P.none/x.svg"
	is_error 3 bench
	for words in "compare" "compare a.json" "compare a.json a.json a.json" "picture" "picture a.json b c"; do
		# shellcheck disable=SC2086 # words
		run tarn bench $words
		is_error 2 bench
	done
}

@test "the picture is sound XML with no script and nothing from elsewhere, the same each time" {
	need python3
	made >a.json
	tarn bench picture a.json x.svg
	tarn bench picture a.json - | cmp - x.svg
	tarn bench picture a.json | cmp - x.svg
	python3 -c 'import sys, xml.dom.minidom as m; d = m.parse("x.svg")
assert d.documentElement.tagName == "svg"
assert not d.getElementsByTagName("script") and not d.getElementsByTagName("image")
words = [t.firstChild.data for t in d.getElementsByTagName("text")]
for want in "ring, busy", "pipe", "TCP", "POSIX queue", "UNIX stream":
    assert sum(w.startswith(want + " ") for w in words) == 2, (want, words)'
	run grep -cE 'href|@import|url\(|<script|javascript' x.svg
	[ "$output" = 0 ]
	grep -q prefers-color-scheme:dark x.svg
	grep -q 'xmlns="http://www.w3.org/2000/svg"' x.svg
	[ "$(grep -c 'http' x.svg)" = 1 ]
}

@test "names cannot break out of the picture, and numbers stay inside of it" {
	need python3
	made | jq '.items[0].rows[0].contestant = "<script>alert(1)</script>" |
		.items[0].facts[0].value = "\"&<b>" | .items[0].rows[7].size_bytes = 1 |
		.items[0].rows[8].bytes_per_ns = 1e-300 | .items[0].rows[9].p50_ns_max = 1e300' >a.json
	tarn bench picture a.json x.svg
	run grep -c '<script' x.svg
	[ "$output" = 0 ]
	python3 -c 'import re, xml.dom.minidom as m; m.parse("x.svg"); text = open("x.svg").read()
assert "nan" not in text and "inf" not in text.replace("in one", "")
assert all(-100 < float(v) < 1400 for d in re.findall(r" d=\"([^\"]*)\"", text) for v in re.findall(r"-?\d+\.?\d*", d))'
}

@test "where there is nothing to draw a picture is left as it was" {
	made | jq '.items[0].rows |= map(select(.measure == "none"))' >a.json
	echo kept >x.svg
	run tarn bench picture a.json x.svg
	is_error 1 bench
	[ "$(cat x.svg)" = kept ]
}

# put PATH TEXT: a file of a host of our own making
put()
{
	mkdir -p "root/$(dirname "$1")"
	echo "$2" >"root/$1"
}

quiet_host()
{
	put proc/cpuinfo "$(printf 'processor\t: 0\nmodel name\t: Abacus 9000\ncpu family\t: 1\nmodel\t\t: 2\nstepping\t: 3\ncpu MHz\t\t: 3000.5\nflags\t\t: fpu vme')"
	put proc/loadavg "0.01 0.02 0.03 1/100 1000"
	put proc/stat "cpu  100 0 100 1000 0 0 0 0 0 0"
	put proc/meminfo "MemTotal:       16000000 kB"
	put proc/sys/kernel/osrelease 6.1.0
	local cpu=sys/devices/system/cpu
	put $cpu/online 0-3
	put $cpu/cpu0/topology/thread_siblings_list 0
	put $cpu/cpu0/cache/index0/level 1
	put $cpu/cpu0/cache/index0/type Data
	put $cpu/cpu0/cache/index0/size 32K
	put $cpu/cpu0/cache/index0/shared_cpu_list 0
	put $cpu/cpu0/cache/index1/level 3
	put $cpu/cpu0/cache/index1/type Unified
	put $cpu/cpu0/cache/index1/size 32M
	put $cpu/cpu0/cache/index1/shared_cpu_list 0-3
	put $cpu/cpu0/cpufreq/scaling_governor performance
	put $cpu/cpufreq/boost 0
	put sys/kernel/mm/transparent_hugepage/enabled "always [madvise] never"
}

machine() { run tarn bench machine -J --root root; }
warns() { json "[.items[0].warnings[].name] - [\"build\"] == [$1]"; }

@test "a host that is one's own, quiet and steady has its facts told, and no warning" {
	quiet_host
	machine
	is 0
	warns ''
	json '.items[0].facts | from_entries | .cpu == "Abacus 9000" and .cpu_mhz == 3000 and
		.cpu_count == 4 and .cpus == "0,1" and .smt == "apart" and .l1d_bytes == 32768 and
		.l3_bytes == 33554432 and .last_cache == "shared" and .thp == "madvise" and
		.governor == "performance" and .turbo == "off" and .hypervisor == "none" and
		.kernel == "6.1.0" and .load_1m == 0.01 and .memory_bytes == 16384000000'
}

@test "each thing that spoils figures is warned of, by name" {
	quiet_host
	put proc/loadavg "1.50 0.02 0.03 1/100 1000"
	machine
	warns '"load"'
	quiet_host
	put sys/devices/system/cpu/cpu0/topology/thread_siblings_list 0-1
	machine
	warns '"siblings"'
	quiet_host
	put sys/devices/system/cpu/cpu0/cache/index1/shared_cpu_list 0,2-3
	machine
	warns '"far"'
	quiet_host
	put sys/devices/system/cpu/cpu0/cpufreq/scaling_governor powersave
	put sys/devices/system/cpu/cpufreq/boost 1
	machine
	warns '"governor","turbo"'
	quiet_host
	put sys/hypervisor/type xen
	machine
	warns '"virtual"'
	quiet_host
	rm root/sys/hypervisor/type
	put proc/self/cgroup 0::/a/b
	put sys/fs/cgroup/a/cpu.max "150000 100000"
	machine
	warns '"quota"'
	json '.items[0].facts | from_entries | .cpu_quota == 1.5'
	put sys/devices/system/cpu/online 2
	machine
	json '[.items[0].warnings[].name] | index("one-cpu")'
}

@test "of a host of which nothing can be read nothing is claimed; this one has a processor" {
	mkdir root
	machine
	is 0
	json '.items[0].facts | from_entries | .cpu == null and .load_1m == null'
	run tarn bench machine -J
	is 0
	json '.items[0].facts | from_entries | .kernel != null and .cpus != null'
	run tarn bench machine x
	is_error 2 bench
}
