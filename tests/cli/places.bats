# Places that lack something: no rights, a PID namespace, a small /dev/shm, little memory, a /proc
# that is read-only, or hides, or is none. Every verb says what it can, says that it is not all,
# and never crashes. `cell` builds the place, `visit` calls the verbs in it.
bats_require_minimum_version 1.5.0
load lib.bash

# What the unprivileged user can reach, wherever this project lies.
setup_file()
{
	export PLACE
	PLACE=$(mktemp -d /tmp/tarn-place-XXXXXX)
	chmod 755 "$PLACE"
	mkdir -m 700 "$PLACE/locked" # on PATH, too
	cp "$TARN" "$SOURCE_DIR"/tests/cli/{cell,visit,hostcheck.py} "$PLACE"
	cp "$BUILD_DIR"/src/libtarn.so* "$PLACE" 2>/dev/null || true
}

teardown_file() { rm -rf "$PLACE"; }

# visit_in OPTION...: a visit to such a place; what was said there is here
visit_in()
{
	need setpriv
	local secret=/dev/shm/$P.secret out=$PLACE/$BATS_TEST_NUMBER
	mkdir -m 777 "$out"
	head -c 5000 /dev/zero >"$secret"
	chmod 600 "$secret"
	segment=$(ipcmk -M 7000 -p 0600 | grep -o '[0-9]*$')
	local secret_addr=shm:$P.secret
	[[ "$*" != *--shm* ]] || secret_addr=- # it has a /dev/shm of its own
	run env PATH="$PLACE:$PLACE/locked:$PATH" LD_LIBRARY_PATH="$PLACE" "$PLACE/cell" "$@" \
		"$PLACE/visit" "$out" "$secret_addr" "sysv:#$segment"
	awk -v id="$segment" '$2 == id && $4 == 7000 { found = 1 } END { exit !found }' /proc/sysvipc/shm ||
		{ echo "the segment of another user is gone"; return 1; }
	ipcrm -m "$segment"
	[ "$status" -ne 77 ] || skip "${output#skip: }"
	is 0
	cd "$out" || return
	[ -e "/dev/shm/$P.secret" ]
}

# Each call ended with a code it may have, which is none of a signal; errors say who says it.
all_calls_behave()
{
	[ "$(wc -l <calls)" -ge 40 ]
	local bad=0 name code allowed command
	while read -r name code allowed command; do
		[[ "|$allowed|" == *"|$code|"* ]] && continue
		echo "$command: exit $code, and not $allowed; $(head -c 300 "$name.err")"
		bad=1
	done <calls
	if grep -L '^tarn ' ./*_absent.err ./*_misused.err | grep .; then
		echo "these do not say who they are"
		bad=1
	fi
	! grep -E "Sanitizer|Assertion|core dumped" ./*.err || bad=1
	return $bad
}

code_of() { awk -v name="$1" '$1 == name { print $2 }' calls; }

# What is JSON is whole, and the exit code says the same as "complete".
all_json_is_whole()
{
	local name code bad=0
	for name in $(awk '/ -J/ && $3 != 2 && $3 != 3 && $2 < 4 || / -J/ && $2 == 4 { print $1 }' calls); do
		jq -e 'has("schema") and has("complete") and has("unreadable") and (.items | type) == "array"
			and (.unreadable == 0 or .complete == false)' "$name.out" >/dev/null ||
			{ echo "$name: $(head -c 200 "$name.out")"; bad=1; }
	done
	for name in ls ls_leaked ls_user ps gc limits; do
		code=$(code_of $name)
		jq -e ".complete == ($code != 4)" "$name.out" >/dev/null ||
			{ echo "$name: exit $code, complete $(jq .complete "$name.out")"; bad=1; }
	done
	return $bad
}

same_as_the_kernel()
{
	[ -e compared ] || return 0
	[ "$(cat compared.code)" -eq 0 ] || { cat compared; return 1; }
	[[ $(tail -1 compared) == *" 0 differ" ]]
}

# item OF JQ: in OF.out, with the facts of the visit as $f
item()
{
	jq -e --slurpfile facts facts.json "\$facts[0] as \$f | $2" "$1.out" >/dev/null ||
		{ echo "not so in $1: $2; $(jq -c --slurpfile facts facts.json \
			'$facts[0] as $f | [.complete, .unreadable, (.items[]? | select(.name? // "" | contains($f.name)))]' \
			"$1.out")"; return 1; }
}

# What this user made is seen as it is.
own_things_are_right()
{
	item ls '[.items[] | select(.name == "shm:\($f.name).held")] | length == 1 and
		(.[0] | .state == "live" and .size_bytes == 10000 and .uid == $f.uid and
			([.processes[].pid] == [$f.holder]) and .processes[0].fd == 9)'
	item ls '[.items[] | select(.name == $f.name and .content == "region")] | length == 1'
	item ls '[.items[] | select(.type == "sysv" and .id == $f.id)] | .[0].size_bytes == 5000'
	item ps_holder '[.items[].name] == ["shm:\($f.name).held"]'
	[ "$(tr -d x <cat.out | wc -c)" -eq 0 ] && [ "$(wc -c <cat.out)" -eq 10000 ]
	[ "$(cat cat_part.out)" = xxxxxxxxxx ]
	[[ $(head -1 hexdump.out) == *"78 78 78 78"* ]]
}

visit_is_good() { all_calls_behave && all_json_is_whole && same_as_the_kernel; }

@test "a user without rights: what others keep to themselves is missing, and is said to be" {
	visit_in
	visit_is_good
	own_things_are_right
	item ls '.complete == false and .unreadable > 0'
	[ "$(code_of ls)" -eq 4 ] && [ "$(code_of ps)" -eq 4 ]
	grep -q "not readable" ls_table.err
}

@test "a fresh PID namespace with its own /proc: only its own processes, and these completely" {
	visit_in --fresh
	visit_is_good
	own_things_are_right
	item ls '.complete and .unreadable == 0'
	item ls '[.items[].processes[].pid] | unique | all(. < 1000)'
	[ "$(code_of ls)" -eq 0 ]
}

@test "a PID namespace with the /proc of the one outside: incomplete, and no pid is mixed up" {
	visit_in --stale
	visit_is_good
	item ls '.complete == false and .unreadable > 0'
	item ls '[.items[] | select(.name == "shm:\($f.name).held")] | .[0].processes | length == 1'
}

@test "a 64 MB /dev/shm: limits and doctor say so, and what does not fit" {
	visit_in --shm=64m
	visit_is_good
	own_things_are_right
	item limits '[.items[] | select(.name == "shm.size")] | .[0].value == 67108864 and
		.[0].unit == "bytes"'
	item doctor '[.items[] | select(.check == "shm-size")] | .[0].severity == "warning" and
		(.[0].what | contains("64")) and .[0].fix != null and .[0].breaks != null'
	[ "$(code_of doctor_fit_small)" -eq 0 ]
	[ "$(code_of doctor_fit_100m)" -eq 2 ]
	item doctor_fit_100m '[.items[] | select(.check == "file-system")] | .[0].severity == "critical"'
}

@test "a memory cgroup of 32 MB: every verb keeps within it, limits and doctor say so" {
	visit_in --memory=33554432
	visit_is_good
	own_things_are_right
	item limits '[.items[] | select(.name == "cgroup.0.memory")] | .[0].value == 33554432'
	item doctor '[.items[] | select(.check == "shm-over-memory")] | .[0].severity == "warning" and
		(.[0].what | contains("32 MiB"))'
	[ "$(code_of doctor_fit_small)" -eq 0 ]
	[ "$(code_of doctor_fit_100m)" -eq 2 ]
	item doctor_fit_100m '[.items[] | select(.check | test("cgroup"))] | .[0].severity == "critical"'
}

@test "a read-only /proc changes nothing" {
	visit_in --fresh --readonly
	visit_is_good
	own_things_are_right
	item ls '.complete'
}

@test "all of these at once" {
	visit_in --fresh --shm=64m --memory=33554432 --readonly
	visit_is_good
	own_things_are_right
	item ls '.complete and ([.items[] | select(.type == "posix")] | length == 2)'
	item limits '[.items[] | select(.name == "shm.size")] | .[0].value == 67108864'
	item limits '[.items[] | select(.name == "cgroup.0.memory")] | .[0].value == 33554432'
	[ "$(code_of doctor_fit_100m)" -eq 2 ]
}

@test "a /proc that hides others' processes: incomplete, though nothing was refused" {
	visit_in --hidden
	visit_is_good
	own_things_are_right
	item ls '.complete == false'
	[ "$(code_of ls)" -eq 4 ]
	grep -q "hides processes" ls_table.err
}

@test "root of a user namespace: no more than its user may" {
	visit_in --fresh --userns
	visit_is_good
	own_things_are_right
}

@test "no /proc at all: the verbs that need it say what to mount, the others go on" {
	need setpriv
	mkdir -m 777 "$PLACE/none"
	run env PATH="$PLACE:$PATH" LD_LIBRARY_PATH="$PLACE" "$PLACE/cell" --noproc \
		"$PLACE/visit" "$PLACE/none" - -
	[ "$status" -ne 77 ] || skip "${output#skip: }"
	cd "$PLACE/none" || return
	[ "$(wc -l <calls)" -ge 40 ]
	awk '$2 >= 128 { print; bad = 1 } END { exit bad }' calls
	for name in ls ps ls_leaked ls_table; do
		[ "$(code_of $name)" -eq 3 ] || { echo "$name: $(code_of $name)"; return 1; }
		grep -q "no proc file system" "$name.err"
		grep -q "^hint: mount -t proc" "$name.err"
	done
	[ "$(code_of doctor)" -eq 3 ]
	[ "$(code_of create)" -eq 3 ]
	grep -q "^hint: mount /proc" create.err
}
