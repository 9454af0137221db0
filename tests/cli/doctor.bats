# doctor and limits: every format, every exit code, and the places in which things go wrong.
load lib.bash
bats_require_minimum_version 1.5.0

# A host with which nothing is wrong but what a test puts into it.
fake_host()
{
	root=/dev/shm/$P-root
	rm -rf "$root"
	mkdir -p "$root"/proc/self/{ns,fd} "$root"/proc/1 "$root"/proc/sysvipc \
		"$root"/proc/sys/{kernel,vm,fs/mqueue} "$root"/dev/shm
	chmod 1777 "$root/dev/shm"
	put proc/self/stat "1 (x) S"
	put proc/self/status "VmSize: 4096 kB"
	put proc/self/mountinfo "22 28 0:20 / /proc rw - proc proc rw"
	put proc/meminfo "MemTotal: 4294967296 kB
MemFree: 4000000000 kB
MemAvailable: 4000000000 kB
SwapTotal: 0 kB
SwapFree: 0 kB
CommitLimit: 4294967296 kB
Committed_AS: 1 kB"
	put proc/sysvipc/shm "key shmid perms size"
	put proc/sysvipc/sem "key semid perms nsems"
	put proc/sysvipc/msg "key msqid perms"
	put proc/sys/kernel/sem "32000 1024000000 500 32000"
	local name
	for name in shmmax shmall; do put "proc/sys/kernel/$name" 18446744073692774399; done
	for name in shmmni msgmax msgmnb msgmni sched_rt_runtime_us; do
		put "proc/sys/kernel/$name" 32000
	done
	put proc/sys/kernel/osrelease 6.1.0
	put proc/sys/vm/max_map_count 65530
	put proc/sys/vm/overcommit_memory 0
	put proc/sys/fs/protected_regular 1
	ln -s 'ipc:[4026531839]' "$root/proc/self/ns/ipc"
	ln -s 'pid:[4026531836]' "$root/proc/self/ns/pid"
	ln -s 'user:[4026531837]' "$root/proc/self/ns/user"
	# what is of this process: locked memory counts only where it may not be locked at will
	put proc/self/status "VmSize: 4096 kB
CapEff: 0000000000004000"
}

put() { mkdir -p "$root/$(dirname "$1")" && printf '%s\n' "$2" >"$root/$1"; }

teardown() { rm -rf "/dev/shm/$P-root"; }

# A command in a mount namespace of its own, after a shell line there.
apart() { unshare -m sh -ec "mount --make-rprivate / && $1 && shift && exec \"\$@\"" sh "$@"; }

@test "a host in order: exit 0, nothing but the sum; --all shows what is in order" {
	fake_host
	run tarn doctor --root "$root"
	is 0
	[[ ${lines[-1]} =~ ^0\ critical,\ 0\ warnings,\ 0\ unknown,\ [0-9]+\ in\ order$ ]]
	[ ${#lines[@]} -eq 1 ]
	run tarn doctor --root "$root" -v
	is 0
	says "ok       shm-mount: /dev/shm is tmpfs"
	[ ${#lines[@]} -gt 20 ]
}

@test "the exit code is the gravest: critical, then warning, then unknown" {
	fake_host
	put proc/sys/kernel/shmmax nonsense
	run tarn doctor --root "$root"
	is 3
	says "unknown  sysv-shmmax: /proc/sys/kernel/shmmax makes no sense"
	put proc/sys/fs/protected_regular 0
	run tarn doctor --root "$root"
	is 1
	says "WARNING  protected-files"
	says "fix:    sysctl -w fs.protected_regular=1"
	put proc/sys/kernel/shmmni 0
	run tarn doctor --root "$root"
	is 2
	[[ ${lines[0]} == "CRITICAL sysv-shmmni:"* ]]
	says "breaks: shmget() fails with ENOSPC"
	says "1 critical, 1 warnings, 1 unknown"
}

@test "json: the usual wrapper, every check, the same exit code" {
	fake_host
	put proc/sys/kernel/shmmni 0
	run --separate-stderr tarn doctor --root "$root" --format json
	is 2
	json '.schema == "tarn.doctor/1" and (.time_ns | type == "number") and .complete == true'
	json '.items | length > 20'
	json '[.items[].check] | length == (unique | length)'
	json '.items[] | select(.check == "sysv-shmmni") | .severity == "critical" and (.bytes | type == "number")
		and (.what | contains("0 of 0")) and (.breaks | length > 10) and (.fix | contains("sysctl"))'
	json 'all(.items[]; .severity | IN("ok", "warning", "critical", "unknown"))'
	json 'all(.items[]; has("check") and has("what") and has("breaks") and has("fix") and has("bytes"))'
	first=$(jq -c .items <<<"$output")
	run --separate-stderr tarn doctor --root "$root" -J
	is 2
	[ "$first" = "$(jq -c .items <<<"$output")" ]
}

@test "nagios: one line, status, text, perfdata" {
	fake_host
	run tarn doctor --root "$root" --format nagios
	is 0
	[ ${#lines[@]} -eq 1 ]
	[[ $output =~ ^TARN\ OK\ -\ [0-9]+\ checks\ in\ order\ \|\ shm.size=[0-9]+B\;\;\;0\; ]]
	put proc/sys/kernel/shmmni 0
	put proc/self/mountinfo "22 28 0:20 / /proc rw - proc proc rw
31 28 0:26 / /dev/a|b rw - hugetlbfs none rw"
	run tarn doctor --root "$root" --format nagios
	is 2
	[ ${#lines[@]} -eq 1 ]
	[[ $output == "TARN CRITICAL - sysv-shmmni: "* ]]
	[ "$(tr -cd '|' <<<"$output" | wc -c)" -eq 1 ]
	perf=${output##*| }
	for word in $perf; do [[ $word =~ ^[a-zA-Z0-9._]+=[0-9]+B?\;\;\;0\;[0-9]*$ ]]; done
}

# HELP and TYPE once and first, samples of a metric together, no sample twice.
valid_exposition()
{
	awk '
	/^# HELP / { if (seen[$3]++) { print "twice: " $0; bad = 1 } name = $3; next }
	/^# TYPE / { if ($3 != name || $4 != "gauge") { print "wrong: " $0; bad = 1 } next }
	!/^[a-z_]+(\{[a-z]+="([^"\\\n]|\\["\\n])*"(,[a-z]+="([^"\\\n]|\\["\\n])*")*\})? ([0-9]+|\+Inf)$/ {
		print "no sample: " $0; bad = 1 }
	{ metric = $0; sub(/[{ ].*/, "", metric); if (metric != name) { print "strays: " $0; bad = 1 }
	  key = $0; sub(/ [^ ]*$/, "", key); if (sample[key]++) { print "again: " $0; bad = 1 } }
	END { exit bad }' <<<"$1"
}

@test "prometheus: valid exposition, labels escaped" {
	fake_host
	put proc/self/mountinfo '22 28 0:20 / /proc rw - proc proc rw
31 28 0:26 / /dev/"q\134 rw - hugetlbfs none rw'
	run tarn doctor --root "$root" --format prometheus
	is 0
	valid_exposition "$output"
	says 'tarn_host_check_severity{check="shm-size"} 0'
	says 'tarn_host_limit{limit="sysv.shmmni"} 32000'
	says 'tarn_host_limit_bytes{limit="rlimit.'
	says 'tarn_host_setting_info{setting="hugetlbfs.default",value="/dev/\"q\\"} 1'
	says 'tarn_host_leftover_bytes{owner="tarn"} 0'
	run --separate-stderr tarn doctor --format prometheus
	valid_exposition "$output"
	# the check itself can fail
	text=$output
	run valid_exposition "${text%tarn_host_unreadable *}tarn_host_unreadable x0"
	is 1
	run valid_exposition "${text/\# TYPE tarn_host_limit gauge/}"
	is 1
}

@test "prometheus: promtool accepts it" {
	need promtool
	run sh -c 'tarn doctor --format prometheus 2>/dev/null | promtool check metrics'
	is 0
}

@test "--for says yes or no first, then each limit on the way" {
	run tarn doctor --for 64K
	is 0
	[[ ${lines[0]} == "ok       fit: yes: 64 KiB (65536 bytes) fit as shm:" ]]
	says "memory: "
	run tarn doctor --for 64T
	is 2
	[[ ${lines[0]} == "CRITICAL fit: no: 64.0 TiB"* || ${lines[0]} == "CRITICAL fit: no: 64 TiB"* ]]
	says "bytes short"
	says "fix: "
	run tarn doctor --for 64T --format nagios
	is 2
	[[ $output == "TARN CRITICAL - fit: no: "* ]]
	run tarn doctor --for 64T -J
	is 2
	json '.items[0] | .check == "fit" and .severity == "critical"'
	json '.items[1:] | any(.severity == "critical" and .bytes > 0)'
	run tarn doctor --for 1M --as sysv
	is 0
	says "sysv-shmmax"
	run tarn doctor --for 1M --as "file:$PWD/x"
	is 0
	run tarn doctor --for 1G --pages 1G --root "$BATS_TEST_TMPDIR/.."
	is 2
	says "huge pages of 1048576 KiB"
	shm_unchanged
}

@test "--for agrees with the kernel, to the byte, in a /dev/shm of 64 MiB" {
	need_own_shm
	apart "mount -t tmpfs -o size=64m tmpfs /dev/shm" bash -c '
		for size in 1M 60M 67108864 67108865 65M 1G; do
			fits=0 made=0
			tarn doctor --for $size --format nagios >/dev/null || fits=$?
			fallocate -l "$(numfmt --from=iec $size)" /dev/shm/x 2>/dev/null || made=2
			rm -f /dev/shm/x
			[ $fits -eq $made ] || { echo "$size: $fits, but $made"; exit 1; }
		done'
}

@test "a /dev/shm of 64 MiB is a warning, a full one critical, an absent one too" {
	need_own_shm
	run apart "mount -t tmpfs -o size=64m,mode=1777 tmpfs /dev/shm" tarn doctor
	is 1
	says "WARNING  shm-size: /dev/shm holds 64 MiB"
	says "PyTorch"
	says "=1g"
	run apart "mount -t tmpfs -o size=64m,mode=1777 tmpfs /dev/shm &&
		fallocate -l 64m /dev/shm/x" tarn doctor
	is 2
	says "CRITICAL shm-used: size of /dev/shm: 64 MiB of 64 MiB used (100%)"
	run apart "mount -t tmpfs tmpfs /dev && mknod -m 666 /dev/null c 1 3" tarn doctor
	is 2
	says "CRITICAL shm-mount: there is no /dev/shm"
}

@test "without rights, in a new PID namespace, with a read-only /proc: answers, and no crash" {
	need_own_shm
	need setpriv
	for format in text json nagios prometheus; do
		run unshare -mp --fork sh -ec 'mount --make-rprivate / && mount -t proc -o ro proc /proc &&
			mount -t tmpfs -o size=64m,mode=1777 tmpfs /dev/shm &&
			exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"' sh \
			"$TARN" doctor --format $format --all
		[ "$status" -eq 1 ] || [ "$status" -eq 2 ]
		says "pid-namespace"
		says "shm-size"
	done
	run unshare -mp --fork sh -ec 'mount --make-rprivate / && mount -t proc -o ro proc /proc &&
		exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"' sh "$TARN" doctor --all
	says "the PID namespace is private"
	says "proc-mount: /proc is read-only"
	run unshare -m sh -ec 'mount --make-rprivate / && mount -t proc -o ro proc /proc &&
		exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"' sh "$TARN" limits -J
	is 0
	json '.complete and (.items | length > 50)'
}

@test "as nobody what others have cannot be seen, and that is said" {
	need_own_shm
	need setpriv
	run --separate-stderr setpriv --reuid=65534 --regid=65534 --clear-groups "$TARN" doctor -J
	[ "$status" -le 3 ]
	json '.complete == false and .unreadable > 0'
	run setpriv --reuid=65534 --regid=65534 --clear-groups "$TARN" doctor
	says "not readable; leftovers that they may use are not counted"
}

# Run in a memory cgroup of 32 MiB, version 1 or 2, or skip.
in_cgroup()
{
	local dir path
	path=$(awk -F: '$2 ~ /(^|,)memory(,|$)/ { print $3 }' /proc/self/cgroup)
	dir=/sys/fs/cgroup/memory${path%/}
	if [ -n "$path" ] && [ -w "$dir" ]; then
		dir=$dir/$P
		mkdir "$dir" && echo 33554432 >"$dir/memory.limit_in_bytes" || skip "no memory cgroup may be made"
	else
		dir=/sys/fs/cgroup/$P
		mkdir "$dir" 2>/dev/null && echo 33554432 >"$dir/memory.max" 2>/dev/null ||
			{ rmdir "$dir" 2>/dev/null; skip "no memory cgroup may be made"; }
	fi
	cgroup=$dir
	run sh -c "echo \$\$ >$dir/cgroup.procs && exec \"\$@\"" sh "$@"
	rmdir "$dir"
}

@test "under a memory cgroup of 32 MiB it fits in it itself, and names it" {
	need_own_shm
	in_cgroup tarn doctor --for 16M
	is 0
	says "limit of 32 MiB"
	in_cgroup tarn doctor --for 64M
	is 2
	says "CRITICAL cgroup-memory: "
	says "fix:    echo "
	in_cgroup tarn doctor
	says "shm-over-memory"
	in_cgroup tarn limits -J
	json '.items[] | select(.name == "cgroup.0.memory") | .value == 33554432 and .used < 33554432'
}

@test "it needs no more than a few MiB" {
	run sh -c 'ulimit -v 16384 && tarn doctor --format nagios'
	[[ $output == TARN* ]]
}

@test "what dead processes left is counted in bytes" {
	need_own_shm
	python3 --version >/dev/null || skip "python3 is not installed"
	run --separate-stderr tarn doctor -J
	json '.items[] | select(.check == "orphans") | .severity == "ok" and .bytes == 0'
	python3 - <<-'END'
	import ctypes, os
	libc = ctypes.CDLL(None)
	libc.shmat.restype = ctypes.c_void_p
	seg = libc.shmget(0, 1 << 20, 0o1600)
	base = libc.shmat(seg, None, 0)
	ctypes.memset(base, 1, 1 << 20)
	libc.shmdt(ctypes.c_void_p(base))
	END
	run --separate-stderr tarn doctor -J
	is 1
	json '.items[] | select(.check == "orphans") | .severity == "warning" and .bytes >= 1048576
		and (.what | contains("sysv:#")) and .fix == "tarn gc --foreign --yes"'
	id=$(grep -o 'sysv:#[0-9]*' <<<"$output" | head -1)
	ipcrm -m "${id#sysv:#}"
}

@test "bad usage is 2, a root without proc 3" {
	run tarn doctor --format xml
	is_error 2 doctor
	says "text|json|nagios|prometheus"
	for opt in --lock "--as shm" "--pages 2M"; do
		# shellcheck disable=SC2086 # two words
		run tarn doctor $opt
		is_error 2 doctor
		says "--for SIZE"
	done
	run tarn doctor --for lots
	is_error 2 doctor
	run tarn doctor --for 0
	is_error 2 doctor
	run tarn doctor --for 1M --as nosuch:x
	is_error 2 doctor
	says "no kind of address"
	run tarn doctor operand
	is_error 2 doctor
	run tarn doctor --for 1M --as shm --pages 2M
	is_error 1 doctor
	says "no explicit huge pages"
	run tarn doctor --root /nowhere
	is_error 3 doctor
	says "/nowhere/proc"
	run tarn limits --root /nowhere
	is_error 3 limits
	run tarn limits operand
	is_error 2 limits
	run tarn limits -o nosuch
	is_error 2 limits
}

@test "limits: a table with sizes for the eye, JSON with numbers, and the same as the kernel's" {
	run tarn limits
	is 0
	[[ ${lines[0]} =~ ^LIMIT\ +VALUE\ +USED\ +SOURCE\ +RAISE$ ]]
	says "shm.size"
	run tarn limits -J
	is 0
	json '.schema == "tarn.limits/1" and .complete and .unreadable == 0'
	json '[.items[].name] | length == (unique | length)'
	json 'all(.items[]; .unit | IN("bytes", "count", "word"))'
	json 'all(.items[]; (.value | type) | IN("number", "null"))'
	json 'all(.items[] | select(.unit == "word"); .value == null and (.value_text | type == "string"))'
	json 'all(.items[] | select(.unlimited); .value == null)'
	json '.items[] | select(.name == "shm.size") | .unit == "bytes"'
	json '.items[] | select(.name == "shm.inodes") | .unit == "count"'
	json '.items[] | select(.name == "shm.type") | .unit == "word" and .value_text == "tmpfs"'
	shmmni=$(cat /proc/sys/kernel/shmmni)
	json '.items[] | select(.name == "sysv.shmmni") | .value == '"$shmmni"
	json '.items[] | select(.name == "shm.size") | .value == '"$(df -B1 --output=size /dev/shm | tail -1)"
	json '.items[] | select(.name == "rlimit.nofile") | .value == '"$(ulimit -n)"
	json '.items[] | select(.name == "memory.total") | .value == '"$(($(awk '/MemTotal/ { print $2 }' /proc/meminfo) * 1024))"
	run tarn limits -n -r -b -o name,value_text
	is 0
	[[ $output == *"sysv.shmmni $shmmni"* ]]
	run tarn limits -o +what,note
	says "WHAT"
}

@test "output that cannot be written is a failure" {
	[ -w /dev/full ] || skip "there is no /dev/full"
	for format in text json nagios prometheus; do
		run sh -c "tarn doctor --format $format >/dev/full"
		[ "$status" -ne 0 ]
		says "standard output"
	done
	run sh -c "tarn limits >/dev/full"
	[ "$status" -ne 0 ]
}
