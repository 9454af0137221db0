# The whole host: real programs' shared memory of every kind, as ls, ps, info and gc see it.
#
# hostworld.py makes it once for the file, and ends it; hostcheck.py is the second opinion.
bats_require_minimum_version 1.5.0
load lib.bash

setup_file()
{
	command -v python3 >/dev/null || skip "python3 is not installed"
	export WORLD=$BATS_FILE_TMPDIR/world.json
	python3 "$SOURCE_DIR/tests/cli/hostworld.py" run "$WORLD" $$ \
		>"$BATS_FILE_TMPDIR/world.log" 2>&1 3>&- &
	echo $! >"$BATS_FILE_TMPDIR/world.pid"
	for _ in $(seq 6000); do
		[ -e "$WORLD" ] && return
		kill -0 $! 2>/dev/null || break
		sleep 0.02
	done
	cat "$BATS_FILE_TMPDIR/world.log"
	return 1
}

teardown_file()
{
	local pid
	pid=$(cat "$BATS_FILE_TMPDIR/world.pid") || return 0
	kill "$pid" 2>/dev/null && tail --pid="$pid" -s 0.05 -f /dev/null
	[ ! -s "$BATS_FILE_TMPDIR/world.log" ] || cat "$BATS_FILE_TMPDIR/world.log" >&2
}

world() { jq -r "$1" "$WORLD"; }

# A part of the world that may be lacking; the tests about it are skipped then.
need_world()
{
	local reason
	reason=$(world ".$1.skip // empty")
	[ -z "$reason" ] || skip "$reason"
}

listed() { run --separate-stderr tarn ls -J "$@"; [ "$status" -eq 0 ] || [ "$status" -eq 4 ]; }

# thing FACT JQ: the one item of $output that JQ selects is so, in the light of that fact ($f)
thing()
{
	local found
	found=$(jq -c --argjson f "$(world ".$1")" ".items[] | select((.elsewhere | not) and ($2))" \
		<<<"$output")
	if [ "$(grep -c . <<<"$found")" -ne 1 ]; then
		echo "not one, but: $found"
		echo "among: $(jq -c '.items[] | [.name, .label, [.processes[].pid]]' <<<"$output")"
		return 1
	fi
	jq -e --argjson f "$(world ".$1")" "$3" <<<"$found" >/dev/null ||
		{ echo "not so: $3; in: $found; with: $(world ".$1")"; return 1; }
}

# so JQ: of all that is listed that is true
so() { jq -e "$1" <<<"$output" >/dev/null || { echo "not so: $1"; return 1; }; }

# What PostgreSQL answers to SQL.
ask()
{
	local words
	mapfile -t words < <(world ".$1.ask[]")
	"${words[@]}" "$2"
}

check() { python3 "$SOURCE_DIR/tests/cli/hostcheck.py" "$@"; }

# What there is, before and after; ls.json says what tarn saw in between.
look_around()
{
	check look before.json "${@:1}"
	tarn ls -J "$@" >ls.json 2>/dev/null || [ $? -eq 4 ]
	check look after.json "${@:1}"
}

@test "a Python shared_memory block is listed with parent and child" {
	listed
	thing python '.name == "shm:" + $f.name' '.type == "posix" and .state == "live" and
		.size_bytes == $f.size and .uid == $f.owner and .touched_bytes > 0 and
		[.processes[].pid] == $f.pids and .attach_count == 2 and
		([.processes[].rights] | unique) == ["rw-s"]'
}

@test "a segment of ipcmk -M is listed with those who attached it, another with nobody" {
	listed
	thing sysv '.id == $f.id' '.type == "sysv" and .name == "sysv:#\($f.id)" and
		.size_bytes == $f.size and .mode == $f.mode and .state == "live" and
		[.processes[].pid] == $f.pids and .attach_count == 2'
	thing unattached '.id == $f.id' '.size_bytes == $f.size and .state == "idle" and
		.processes == [] and .attach_count == 0 and .attached_ns == null and .proof == null'
}

@test "a memfd is listed by its name, with its seals, also in who has only mapped it" {
	listed
	thing memfd '.label == $f.label and .inode == $f.inode' '.type == "memfd" and
		.name == "memfd:\($f.pids[0]):\($f.fd)" and .size_bytes == $f.size and
		.seals == "shrink,grow" and [.processes[].pid] == $f.pids and
		.processes[0].fd == $f.fd and .processes[1].fd_count == 0 and
		.processes[1].mapping_count == 1'
}

@test "MAP_SHARED|MAP_ANONYMOUS memory of a parent and its child is one thing" {
	listed
	thing anon '.type == "anon" and .processes[0].pid == $f.pids[0]' '.size_bytes == $f.size and
		[.processes[].pid] == $f.pids and .state == "live" and (.name | startswith("map:"))'
}

@test "memory without a name left is deleted, and is listed with who keeps it" {
	listed
	thing deleted '.label == $f.path' '.state == "deleted" and .removed and .size_bytes == $f.size
		and [.processes[].pid] == $f.pids'
}

@test "a shared file is listed with --files, and without it is not" {
	listed
	so '[.items[] | select(.type == "file")] == []'
	listed --files
	thing file '.name == "file:" + $f.path' '.type == "file" and .size_bytes == $f.size and
		[.processes[].pid] == $f.pids'
}

@test "huge pages are listed, anonymous, of a memfd, of System V and in hugetlbfs" {
	need_world huge
	listed
	for which in '.type == "anon"' '.label == $f.label' '.type == "sysv" and .id == $f.id'; do
		thing huge ".processes[0].pid == \$f.pids[0] and ($which)" '.page_bytes == 2097152 and
			.size_bytes == $f.size and [.processes[].pid] == $f.pids and
			(.touched_bytes | IN(2097152, null))'
	done
	[ "$(world .huge.file)" != null ] || skip "hugetlbfs cannot be mounted"
	thing huge '.type == "huge"' '.page_bytes == 2097152 and .size_bytes == $f.size and
		(.name | endswith($f.file | split("/")[-1])) and [.processes[].pid] == $f.pids and
		.touched_bytes == 2097152'
}

# Every process of a PostgreSQL server, as JSON.
servers() { { echo "$1"; cat /proc/"$1"/task/*/children; } | xargs -n1 | jq -n '[inputs]'; }

@test "PostgreSQL's shared memory is listed with its processes: anonymous, POSIX, System V" {
	need_world postgres_posix
	listed
	processes=$(servers "$(world .postgres_posix.pid)")
	[ "$(jq length <<<"$processes")" -ge 3 ]
	for which in '.type == "anon"' '.type == "posix" and .attach_count > 1' '.type == "sysv"'; do
		thing postgres_posix ".processes[0].pid == \$f.pid and ($which)" ".state == \"live\" and
			.uid == \$f.uid and ([.processes[].pid] - $processes == []) and
			(.processes | length) >= 3 and
			([.processes[].command] | unique) == [\"postgres\"]"
	done
	[ "$(ask postgres_posix 'select 6*7')" = 42 ]
}

@test "PostgreSQL with all of it in System V is listed too, and what it has detached is no orphan" {
	need_world postgres_sysv
	listed
	thing postgres_sysv '.id == $f.id' '.type == "sysv" and .size_bytes > 2000000 and
		.creator == "postgres" and .creator_pid == $f.pid and .processes[0].pid == $f.pid'
	own=".type == \"sysv\" and .uid == \$f.uid and .id > \$f.id"
	thing postgres_sysv "$own and .attach_count > 0" '.state == "live" and .proof == null'
	thing postgres_sysv "$own and .attach_count == 0" '.state == "idle" and .proof == null'
}

@test "x11perf -shmput on Xvfb: their segment has both, the frame buffer the server alone" {
	need_world xvfb
	listed
	thing x11perf '.id == $f.id' '.type == "sysv" and [.processes[].pid] == $f.pids and
		.creator == "x11perf" and .creator_pid == $f.creator and .attach_count == 2 and
		.state == "live" and ([.processes[].command] | sort) == ["Xvfb", "x11perf"]'
	thing xvfb '.id == $f.id' '[.processes[].pid] == [$f.pid] and .creator == "Xvfb"'
}

@test "all that ls says is what /proc/sysvipc/shm, stat and /proc/PID/maps say" {
	look_around
	run check compare before.json ls.json after.json
	is 0
	echo "# $output" >&3
	# it looked at something
	[[ $output =~ ([0-9]+)\ listed,\ ([0-9]+)\ facts\ and\ ([0-9]+)\ uses ]]
	[ "${BASH_REMATCH[1]}" -ge 8 ] && [ "${BASH_REMATCH[2]}" -ge 100 ]
	[ "${BASH_REMATCH[3]}" -ge 10 ]
}

@test "the same of files on disk" {
	look_around --files
	run check compare before.json ls.json after.json
	is 0
	jq -e '[.items[] | select(.type == "file")] | length > 0' ls.json
}

# fault JQ WORDS: with that done to what tarn said, the checker says so
fault()
{
	jq "$1" ls.json >fault.json
	cmp -s <(jq . ls.json) fault.json && { echo "changes nothing: $1"; return 1; }
	run check compare before.json fault.json after.json
	is 1
	says "$2"
}

@test "the checker sees a wrong size, a lost process, a lost or invented segment, a number as text" {
	look_around
	name=$(world .python.name)
	block=".items[] |= if .name == \"shm:$name\" then"
	fault "$block .size_bytes += 1 else . end" "size_bytes"
	fault "$block .size_bytes |= tostring else . end" "size_bytes"
	fault "$block .touched_bytes += 4096 else . end" "touched_bytes"
	fault "$block .inode += 1 else . end" "not listed"
	fault "$block .mode = \"0666\" else . end" "mode"
	fault "$block del(.processes[1]) else . end" "pids"
	fault "$block .processes[0].fd_count += 1 else . end" "descriptors"
	fault "$block .processes[0].rights = \"r--s\" else . end" "rights"
	fault "$block .processes[0].uid |= tostring else . end" "uid"
	fault "$block .attach_count += 1 else . end" "attach_count"
	fault "del(.items[] | select(.name == \"shm:$name\"))" "not listed"
	fault "del(.items[] | select(.id == $(world .sysv.id)))" "not listed: sysv:$(world .sysv.id)"
	fault ".items += [.items[] | select(.name == \"shm:$name\") | .inode = 1]" "there is no such thing"
	fault "(.items[] | select(.id == $(world .sysv.id)).key) |= . + 1" "key"
	fault "(.items[] | select(.id == $(world .sysv.id)).last_pid) = 1" "last_pid"
	fault ".unreadable += 1000" "unreadable"
	fault ".complete |= not" "complete"
}

@test "ps is the reverse of ls: the same pairs of process and segment" {
	same=0
	for _ in 1 2 3 4 5; do # what others do meanwhile is in one and not in the other
		tarn ls -J >ls.json 2>/dev/null || [ $? -eq 4 ]
		tarn ps -J >ps.json 2>/dev/null || [ $? -eq 4 ]
		jq -r '.items[] | .name as $name | .processes[] | "\(.pid) \($name)"' ls.json | sort >pairs.ls
		jq -r '.items[] | "\(.pid) \(.name)"' ps.json | sort -u >pairs.ps
		cmp -s pairs.ls pairs.ps && same=1 && break
	done
	[ "$same" -eq 1 ] || { diff pairs.ls pairs.ps; return 1; }
	[ "$(wc -l <pairs.ls)" -ge 10 ]
}

# shm FIELD ID: of that System V segment, as ipcs -m has it (1 key, 2 id, 4 size, 7 attached)
shm() { awk -v field="$1" -v id="$2" '$2 == id { print $field }' /proc/sysvipc/shm; }
attached() { [ "$(shm 7 "$1")" = "$2" ]; }
segment_of() { awk -v pid="$1" '$5 == pid { print $2 }' /proc/sysvipc/shm; }
draws() { [ "$(awk -v pid="$1" '$5 == pid { print $7 }' /proc/sysvipc/shm)" = 2 ]; }

# An x11perf of this test's own, killed while it puts images; sets orphan.
kill_x11perf()
{
	x11perf -display "$(world .xvfb.display)" -reps 1000 -repeat 1000000 -time 1 -shmput100 \
		>x11perf.log 2>&1 3>&- &
	victim=$!
	until_true draws $victim
	orphan=$(segment_of $victim)
	kill -9 $victim
	wait $victim || true
	until_true attached "$orphan" 0 # Xvfb lets go when it sees the connection gone
}

@test "x11perf killed in the middle of -shmput: ls marks what it leaves, with the proof" {
	need_own_shm
	need_world xvfb
	run tarn ls --leaked --check
	is_found=$status
	kill_x11perf
	listed
	thing x11perf ".id == $orphan" ".state == \"orphan\" and .creator == null and
		.creator_pid == $victim and .processes == [] and .size_bytes > 0 and
		(.proof | contains(\"pid $victim\"))"
	thing x11perf '.id == $f.id' '.state == "live" and .proof == null'
	run tarn ls
	[[ $output =~ "sysv:#$orphan "[^$'\n']*" orphan " ]]
	run tarn ls --leaked -J
	[ "$(jq -c '[.items[].id]' <<<"$output")" = "[$orphan]" ]
	run tarn ls --leaked --check
	is 1
	run --separate-stderr tarn doctor -J
	so "[.items[] | select(.check == \"orphans\")] | .[0].severity != \"ok\" and
		.[0].bytes == $(shm 15 "$orphan") and (.[0].fix | contains(\"gc --foreign\"))"
	ipcrm -m "$orphan"
	[ "$is_found" -ne 1 ]
	run tarn ls --leaked --check
	[ "$status" -ne 1 ]
	[ -z "$(tarn ls --leaked -n 2>/dev/null)" ]
}

# Every name there is: System V by identifier and creation time, files.
all_names()
{
	awk 'NR > 1 { print "sysv", $2, $14 }' /proc/sysvipc/shm
	find /dev/shm "$(dirname "$(world '.huge.file // "/dev/shm/none"')")" -type f -printf '%p %i\n'
}

@test "gc --foreign shows the orphan with its proof, --yes removes exactly it, and all alive go on" {
	need_own_shm
	need_world xvfb
	kill_x11perf
	all_names >before
	run tarn gc --foreign
	is 0
	[ "$(grep -c . <<<"$output")" -le 3 ] # heading, the orphan, that it is a dry run
	says "sysv:#$orphan"
	says "would reclaim"
	says "pid $victim, which made it, is dead"
	says "dry run"
	run --separate-stderr tarn gc --foreign -J
	json ".items | length == 1 and .[0].name == \"sysv:#$orphan\" and .[0].size_bytes > 0"
	all_names | cmp - before

	run tarn gc --yes # without --foreign it is none of its business
	is 0
	all_names | cmp - before

	run --separate-stderr tarn gc --foreign --yes -J
	is 0
	json ".items | length == 1 and .[0].name == \"sysv:#$orphan\""
	all_names >after
	[ "$(diff before after | grep '^[<>]' | cut -d' ' -f1-3)" = "< sysv $orphan" ]

	# what is alive is, and works
	[ "$(world 'if .postgres_posix.skip then "42" else "" end')" ] ||
		[ "$(ask postgres_posix 'select 6*7')" = 42 ]
	[ "$(world 'if .postgres_sysv.skip then "42" else "" end')" ] ||
		[ "$(ask postgres_sysv 'select 6*7')" = 42 ]
	attached "$(world .x11perf.id)" 2
	kill -0 "$(world .x11perf.creator)" "$(world .xvfb.pid)"
	kill_x11perf # the server takes another client
	tarn gc --foreign --yes >/dev/null
	run tarn gc --foreign
	is 0
	[ -z "$output" ]
	run tarn ls --leaked --check
	[ "$status" -ne 1 ]
}

# keyed KEY: make and attach a System V segment with that key; wait on the line `go`, and end
keyed()
{
	python3 - "$1" <<-'END'
		import ctypes, os, sys, time
		libc = ctypes.CDLL(None)
		libc.shmat.restype = ctypes.c_void_p
		shmid = libc.shmget(int(sys.argv[1], 0), 4096, 0o1611)
		libc.shmat(shmid, None, 0)
		open(sys.argv[1], "w").write(str(shmid))
		while not os.path.exists("go." + sys.argv[1]):
		    time.sleep(0.01)
	END
}

@test "a segment with a key is an orphan only if its owner has no other with a key in use" {
	need_own_shm
	keyed 0x7a7a0001 3>&- &
	keyed 0x7a7a0002 3>&- &
	until_true test -s 0x7a7a0001
	until_true test -s 0x7a7a0002
	touch go.0x7a7a0001
	until_true attached "$(cat 0x7a7a0001)" 0
	wait %1
	run --separate-stderr tarn ls -J sysv:0x7a7a0001
	so '.items[0] | .state == "idle" and .attach_count == 0 and .proof == null'
	tarn gc --foreign --yes >/dev/null
	run --separate-stderr tarn ls -J sysv:0x7a7a0001 # still there
	so '.items | length == 1'
	touch go.0x7a7a0002
	wait %2
	run --separate-stderr tarn ls -J sysv:0x7a7a0001 sysv:0x7a7a0002
	so '[.items[].state] == ["orphan", "orphan"] and (.items[0].proof | contains("key"))'
	tarn gc --foreign --yes >/dev/null
	run tarn ls sysv:0x7a7a0001
	is 3
}

# sharer NAME: map four pages of that file, touch them, say where they are, and stay
sharer()
{
	exec python3 - "$1" <<-'END'
		import mmap, os, sys, time
		fd = os.open(sys.argv[1], os.O_RDWR)
		room = mmap.mmap(-1, 4096 * (1 + os.getpid() % 5)) # so that they do not lie alike
		view = mmap.mmap(fd, 16384)
		for page in range(4):
		    view[page * 4096] = 1
		maps = [line for line in open("/proc/self/maps") if line.rstrip().endswith(sys.argv[1])]
		open(f"{sys.argv[2] if len(sys.argv) > 2 else 'at'}.{os.getpid()}", "w").write(maps[0])
		time.sleep(1000)
	END
}

# The frames of four pages from ADDRESS of process PID, as its pagemap has them.
pagemap()
{
	python3 - "$1" "$2" <<-'END'
		import struct, sys
		with open(f"/proc/{sys.argv[1]}/pagemap", "rb", buffering=0) as file:
		    file.seek(int(sys.argv[2], 0) // 4096 * 8)
		    print([entry & (1 << 55) - 1 for entry in struct.unpack("4Q", file.read(32))])
	END
}

@test "info --frames: two processes, two virtual addresses, one frame a page; as pagemap has it" {
	[ "$(id -u)" -eq 0 ] || skip "frames are for root to see"
	[ "$(getconf PAGESIZE)" -eq 4096 ] || skip "made for pages of 4 KiB"
	local file=/dev/shm/$P.frames first second
	head -c 16384 /dev/zero >"$file"
	sharer "$file" 3>&- &
	first=$!
	sharer "$file" 3>&- &
	second=$!
	until_true test -s at.$first
	until_true test -s at.$second
	[ "$(pagemap $first 0x"$(cut -d- -f1 at.$first)")" != "[0, 0, 0, 0]" ] ||
		skip "this machine shows frames not even to root"
	run --separate-stderr tarn info --frames -J "shm:$P.frames"
	[ "$status" -eq 0 ] || [ "$status" -eq 4 ]
	so ".items[0].frames | group_by(.offset_bytes) | length == 4 and
		all(map(.pid) == ([$first, $second] | sort)) and
		all((map(.frame) | unique | length == 1 and .[0] > 0)) and
		all((map(.address) | unique | length == 2)) and
		(map(.[0].frame) | unique | length == 4)"
	for pid in $first $second; do
		at=$((0x$(cut -d- -f1 at.$pid)))
		so "[.items[0].frames[] | select(.pid == $pid) | .address] == [range($at; $at + 16384; 4096)]"
		[ "$(jq -c "[.items[0].frames[] | select(.pid == $pid) | .frame]" <<<"$output")" = \
			"$(pagemap $pid $at | tr -d ' ')" ]
	done
	run tarn info --frames "shm:$P.frames"
	says "0x$(cut -d- -f1 at.$first | sed 's/^0*//')"
	says "0x$(cut -d- -f1 at.$second | sed 's/^0*//')"
	says "$(printf '0x%x' "$(pagemap $first 0x"$(cut -d- -f1 at.$first)" | tr -d '[,' | cut -d' ' -f1)")"
}

@test "info --frames without rights: the addresses are there, and what is missing is said" {
	[ "$(id -u)" -eq 0 ] || skip "needs root, to have rights to go without"
	need setpriv
	local file=/dev/shm/$P.frames reach
	reach=$(mktemp -d /tmp/tarn-frames-XXXXXX)
	chmod 777 "$reach"
	cp "$TARN" "$reach"
	cp "$BUILD_DIR"/src/libtarn.so* "$reach" 2>/dev/null || true
	cd "$reach" || return
	head -c 16384 /dev/zero >"$file"
	chown nobody "$file"
	nobody=(setpriv --reuid=nobody --regid=nogroup --clear-groups --inh-caps=-all --)
	for _ in 1 2; do
		export -f sharer
		"${nobody[@]}" bash -c "sharer $file" 3>&- &
	done
	until_true sh -c 'cat at.* | wc -l | grep -q 2'
	nobody+=(env LD_LIBRARY_PATH="$reach" "$reach/tarn")
	run "${nobody[@]}" info --frames "shm:$P.frames"
	is 4
	says "frame numbers need CAP_SYS_ADMIN"
	run --separate-stderr "${nobody[@]}" info --frames -J "shm:$P.frames"
	rm -r "$reach"
	is 4
	so '.complete == false and (.items[0].frames | length == 8 and all(.frame == null) and
		(map(.address) | unique | length) == 8)'
}
