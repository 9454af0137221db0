# create, info, check, rm: what they print, and every bad input that reaches them.
load lib.bash

@test "create says what was made; info shows it; rm removes it" {
	run tarn create "$P" --size 64M
	is 0
	says "$P: room for 64 MiB"
	says "mode 0600"
	run tarn info "$P"
	is 0
	says "64 MiB for objects"
	says "0 alive, room for 256"
	run tarn rm "$P" --yes
	is 0
	says "removed"
	says "no live member: the kernel holds no lock on slots 0-255"
	shm_unchanged
}

@test "create -J, info -J, check -J and rm -J are JSON with numbers in base units" {
	run tarn create "$P" --size 2M --max-size 8M --members 8 --objects 32 -J
	is 0
	json '.schema == "tarn.create/1" and .complete and .unreadable == 0 and (.time_ns | type == "number")'
	json '.items[0] | .size_bytes == 2097152 and .max_size_bytes == 8388608 and .mode == "0600"'
	run tarn info "$P" -J
	is 0
	json '.schema == "tarn.info/1" and .items[0].name == "'"$P"'"'
	json '.items[0] | .member_max == 8 and .object_max == 32 and .members == [] and .objects == []'
	json '.items[0].created_ns > 1600000000000000000 and .items[0].ephemeral == false'
	run tarn check "$P" -J
	is 0
	json '.schema == "tarn.check/1" and .items == []'
	run tarn rm "$P" -J
	is 0
	json '.items[0] | .action == "would remove" and .users == 0 and .kind == "region"'
	run tarn rm "$P" -J --yes
	json '.items[0].action == "removed"'
	shm_unchanged
}

@test "sysv:private is made under an address that is accepted back" {
	run tarn create sysv:private --size 64K -J
	is 0
	addr=$(jq -r '.items[0].name' <<<"$output")
	[[ $addr =~ ^sysv:#[0-9]+$ ]]
	run tarn info "$addr"
	is 0
	run tarn rm "$addr" --yes
	is 0
	run tarn info "$addr"
	is 3
}

@test "a System V key: created, shown, removed" {
	key=sysv:0x7a$(printf %06x $(($$ & 0xffffff)))
	tarn create "$key" --size 64K
	run tarn create "$key" --size 64K
	is_error 1 create
	run tarn check "$key"
	is 0
	run tarn rm "$key" --yes
	is 0
	shm_unchanged
}

@test "file: regions persist where they are put, and their objects can be named" {
	tarn create "file:$PWD/r" --size 64K
	run tarn check "file:$PWD/r"
	is 0
	run tarn rm "file:$PWD/r/no-such-object"
	is 3
	says "no such object"
	run tarn rm "file:$PWD/r" --yes
	is 0
	[ ! -e r ]
}

@test "a new region has the mode asked for, whatever the umask" {
	(umask 0077 && tarn create "$P" --mode 0664 -q)
	[ "$(stat -c %a "/dev/shm/$P")" = 664 ]
	tarn rm "$P" -y
	(umask 0 && tarn create "$P" -q)
	[ "$(stat -c %a "/dev/shm/$P")" = 600 ]
	tarn rm "$P" -y
}

@test "ephemeral: it waits for its first user, and goes with the last" {
	tarn create "$P" --ephemeral --size 8M -q
	run tarn info "$P" -J
	json '.items[0].ephemeral and .items[0].member_count == 0'
	tarn send "$P" </dev/null 3>&- &
	tarn recv "$P" >out
	wait $!
	shm_unchanged
}

@test "-o, -n, -b and -r shape tables; an unknown column is a usage error with a list" {
	tarn create "$P" --size 64K -q
	run tarn rm "$P" -o name,size
	says "NAME"
	[[ $output != *PROOF* ]]
	run tarn rm "$P" -n -o name,size_bytes -b
	[[ $output =~ ^$P\ +[0-9]{5,} ]]
	run tarn rm "$P" -r -n -o NAME,ACTION
	says "$P would\\x20remove"
	run tarn rm "$P" -o nosuch
	is_error 2 rm
	says "there is no column 'nosuch'"
	says "NAME,KIND"
	tarn rm "$P" -y
}

@test "-s sorts numbers as numbers and names as people do, in tables and in JSON" {
	tarn create "${P}9" --size 9M -q
	tarn create "${P}10" --size 64K -q
	tarn create "${P}2" --size 100M -q
	run tarn rm "${P}10" "${P}9" "${P}2" -rn -o name -s size
	[[ ${lines[0]} = "${P}10" && ${lines[1]} = "${P}9" && ${lines[2]} = "${P}2" ]]
	run tarn rm "${P}10" "${P}9" "${P}2" -rn -o name -s -SIZE
	[[ ${lines[0]} = "${P}2" && ${lines[1]} = "${P}9" && ${lines[2]} = "${P}10" ]]
	run tarn rm "${P}10" "${P}9" "${P}2" -J -s name
	json '[.items[].name] == ["'"${P}2"'", "'"${P}9"'", "'"${P}10"'"]'
	run tarn rm "${P}10" "${P}9" "${P}2" -J -s kind,-name
	json '[.items[].name] == ["'"${P}10"'", "'"${P}9"'", "'"${P}2"'"]'
	run tarn rm "$P" -s nosuch
	is_error 2 rm
	says "there is no column 'nosuch'"
	tarn rm "${P}9" "${P}10" "${P}2" -y
}

@test "-o help lists the columns with what they mean" {
	run tarn rm "$P" -o help
	is 0
	says "SIZE       * "
	says "shown without -o"
}

@test "what is there already is not touched by create" {
	tarn create "$P" -q
	sum=$(md5sum <"/dev/shm/$P")
	run tarn create "$P"
	is_error 1 create
	says "exists already"
	says "hint:"
	[ "$sum" = "$(md5sum <"/dev/shm/$P")" ]
	tarn rm "$P" -y
}

@test "an absent region: exit 3 and its name, from every verb" {
	for verb in info check rm gc; do
		run tarn "$verb" "$P"
		is_error 3 "$verb"
		says "$P"
	done
}

@test "a misspelt region is answered with the one that was meant" {
	tarn create "${P}frames" -q
	for verb in info check rm gc; do
		run tarn "$verb" "${P}framse"
		is_error 3 "$verb"
		says "there is no such region"
		says "did you mean '${P}frames'?"
	done
	tarn rm "${P}frames" -y
	run tarn info "${P}frames"
	[[ $output != *hint* ]]
}

@test "several names: each is tried, and the gravest exit code counts" {
	tarn create "$P" -q
	run tarn info "${P}x" "$P"
	is 3
	says "uuid"
	run tarn rm "${P}x" "$P" --yes
	is 3
	shm_unchanged
}

# --- names -----------------------------------------------------------------------------------

@test "impossible names are refused, and nothing outside /dev/shm is touched" {
	long=$(printf 'x%.0s' $(seq 256))
	mkdir -p d
	for name in "" "$long" .. . a/b /etc/passwd ../d/x $'a\nb' $'a\tb' $'a\x7fb' "shm:" \
		"shm:../x" "sysv:" "sysv:0xZZ" "sysv:0x123456789" "file:" "huge:../x" "memfd:x" "anon:"; do
		run tarn create "$name"
		is_error 2 create
		shm_unchanged
	done
	[ -z "$(ls d)" ]
	run tarn create "file:$PWD/no-such-dir/x"
	[ "$status" -ne 0 ]
}

@test "a name of 255 bytes works; control characters of a name never reach the terminal" {
	name=$P$(printf 'x%.0s' $(seq $((255 - ${#P}))))
	tarn create "$name" -q
	run tarn info "$name"
	is 0
	tarn rm "$name" -y
	run tarn info $'no\e[31msuch'
	[[ $output != *$'\e'* ]]
}

@test "a symbolic link in its place is refused and not followed" {
	tarn create "${P}t" -q
	ln -s "/dev/shm/${P}t" "/dev/shm/$P"
	for verb in info check "rm --yes" create; do
		# shellcheck disable=SC2086 # two words
		run tarn $verb "$P"
		[ "$status" -ne 0 ]
	done
	run tarn info "$P"
	says "symbolic link"
	run sh -c "echo x | tarn send $P -t 1"
	[ "$status" -ne 0 ]
	[ -L "/dev/shm/$P" ] && [ -f "/dev/shm/${P}t" ]
	rm "/dev/shm/$P"
	ln -s "$PWD/victim" "/dev/shm/$P"
	run tarn create "$P"
	[ "$status" -ne 0 ]
	[ ! -e victim ]
	rm "/dev/shm/$P"
	tarn rm "${P}t" -y
}

@test "a directory, a fifo and a socket in its place are refused without hanging" {
	mkdir "/dev/shm/$P"
	run timeout 10 tarn info "$P"
	is_error 2 info
	says "directory"
	rmdir "/dev/shm/$P"
	mkfifo "/dev/shm/$P"
	run timeout 10 tarn info "$P"
	is_error 2 info
	says "fifo"
	run timeout 10 tarn gc
	is 0
	rm "/dev/shm/$P"
}

# --- owners and modes ------------------------------------------------------------------------

as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"; }

need_other_user() {
	[ "$(id -u)" -eq 0 ] || skip "needs root, to be two users"
	as_nobody test -x "$TARN" || skip "another user cannot reach the build directory"
}

@test "a name squatted by another user is refused, unless that owner is named" {
	need_other_user
	as_nobody tarn create "$P" --size 8M -q
	for verb in info check rm gc; do
		run tarn "$verb" "$P"
		is_error 4 "$verb"
		says "65534"
	done
	run sh -c "echo x | tarn send $P -t 1"
	is_error 4 send
	run tarn recv "$P" -t 1
	is_error 4 recv
	[ -e "/dev/shm/$P" ]
	run tarn info "$P" --owner nobody
	is 0
	run tarn rm "$P" --owner 65534 --yes
	is 0
	shm_unchanged
}

@test "another user's region of mode 0600 is closed to an ordinary user" {
	need_other_user
	tarn create "$P" -q
	run as_nobody tarn info "$P"
	is_error 4 info
	run as_nobody tarn info "$P" --owner root
	is_error 4 info
	run as_nobody tarn rm "$P" --owner root --yes
	is_error 4 rm
	run as_nobody tarn create "$P"
	[ "$status" -ne 0 ]
	[ -e "/dev/shm/$P" ]
	tarn rm "$P" -y
}

@test "a mode wider than accepted is refused by send and recv" {
	tarn create "$P" --mode 0666 --size 8M -q
	run sh -c "echo x | tarn send $P -t 1"
	is_error 4 send
	says "0666"
	run tarn info "$P" --mode 0600
	is_error 4 info
	run tarn info "$P"
	is 0
	run sh -c "tarn send $P --mode 0666 -t 0 </dev/null"
	is_error 5 send
	tarn rm "$P" -y
}

# --- damage ----------------------------------------------------------------------------------

# NAME is refused with exit CODE by info and check, with TEXT, and stays as it is.
refused()
{
	local sum
	sum=$(md5sum <"/dev/shm/$1")
	for verb in info check; do
		run tarn "$verb" "$1"
		is "$2" && says "$3" || return 1
	done
	run sh -c "echo x | tarn send '$1' -t 1 --mode 0666"
	is "$2" || return 1
	run tarn gc "$1" --yes
	is "$2" || return 1
	[ "$sum" = "$(md5sum <"/dev/shm/$1")" ]
}

@test "zero length, too short, foreign and random files are refused, bytes untouched" {
	: >"/dev/shm/$P"
	chmod 600 "/dev/shm/$P"
	refused "$P" 6 "is empty"
	head -c 100 /dev/urandom >"/dev/shm/$P"
	refused "$P" 6 "100 bytes"
	head -c 100000 /dev/urandom >"/dev/shm/$P"
	refused "$P" 6 "magic"
	head -c 100000 /dev/zero >"/dev/shm/$P"
	refused "$P" 6 "magic"
	run tarn rm "$P" --yes
	is_error 6 rm
	says "no Tarn region"
	says "--foreign"
	[ -e "/dev/shm/$P" ]
	run tarn rm "$P" --foreign
	is 0
	[ -e "/dev/shm/$P" ]
	run tarn rm "$P" --foreign --yes
	is 0
	shm_unchanged
}

@test "each field of the superblock, flipped: refused with the field, found and expected" {
	tarn create "$P" -q
	cp "/dev/shm/$P" sound
	while read -r offset field; do
		cp sound "/dev/shm/$P"
		byte=$(od -An -tu1 -j "$offset" -N1 sound | tr -d ' ')
		poke "$P" "$offset" "\\$(printf %o $((byte ^ 1)))"
		refused "$P" 6 "$field"
		says "0x" || says "FOUND"
		run tarn check "$P" -J
		json '[.items[] | select(.where == "superblock") | .field] | index("'$field'")'
		json '.items[0] | (.found | type == "number") and (.rule | length > 0)'
	done <<-END
		0 magic
		8 byte_order
		12 version
		16 layout
		20 checksum
		24 checksum
		76 page_size
		120 kind
		80 member_max
		84 object_max
		88 member_off
		96 directory_off
		104 heap_off
		138 size_pages
	END
	cp sound "/dev/shm/$P"
	run tarn check "$P"
	is 0
	tarn rm "$P" -y
}

@test "the other byte order and another version are told from damage" {
	tarn create "$P" -q
	poke "$P" 8 '\001\002\003\004'
	run tarn info "$P"
	is 6
	says "byte"
	tarn rm "$P" -y
}

@test "a truncated region is refused with both sizes, and can be removed" {
	tarn create "$P" --size 1M -q
	truncate -s 500000 "/dev/shm/$P"
	refused "$P" 6 "size of the file"
	run tarn check "$P" -J
	is 6
	json '.items[0].where == "superblock" and .items[0].repairable == false'
	run tarn rm "$P"
	is 0
	says "would remove"
	run tarn rm "$P" --yes
	is 0
	shm_unchanged
}

@test "damage of the directory is a finding with region, field and rule" {
	tarn create "$P" --size 8M -q
	run tarn send "$P" -t 0 </dev/null
	is 5
	run tarn rm "$P/stream"
	is 0
	says "would remove"
	# the first entry's name, at 4096 + 8 + 56 (struct entry in design/format.md)
	poke "$P" 4170 '\377'
	run tarn check "$P"
	[ "$status" -eq 1 ] || [ "$status" -eq 6 ]
	says "REPAIRABLE"
	run tarn check "$P" -J
	json '.items | length >= 1'
	json '.items[0] | (.found | type == "number") and (.rule | type == "string") and .name == "'"$P"'"'
	tarn rm "$P" -y
}

@test "check without names goes through all regions" {
	need_own_shm
	tarn create "${P}a" -q
	tarn create "${P}b" -q
	echo stranger >"/dev/shm/${P}c"
	run tarn check
	is 0
	says "${P}a: sound"
	says "${P}b: sound"
	[[ $output != *"${P}c"* ]]
	poke "${P}b" 80 '\001'
	run tarn check
	is 6
	says "${P}a: sound"
	tarn rm "${P}a" "${P}b" -y
	rm "/dev/shm/${P}c"
}

# --- shortage --------------------------------------------------------------------------------

@test "on a tmpfs of 16 MiB, create big --size 64M names the shortage and leaves nothing" {
	need_own_shm
	run unshare -m sh -c 'mount -t tmpfs -o size=16m tmpfs /dev/shm && tarn create big --size 64M; code=$?; ls -A /dev/shm; df --output=used /dev/shm | tail -1; exit $code'
	is_error 1 create
	says "64.2 MiB" || says "64 MiB" || says "64.3 MiB"
	says "16 MiB" || says "16.0 MiB"
	says "hint:"
	says "remount"
	[[ $output != *$'\n'big* ]]
	[ "$(tail -1 <<<"$output")" -eq 0 ]
}

@test "on that tmpfs send says so too, and a region that fits works" {
	need_own_shm
	run unshare -m sh -c 'mount -t tmpfs -o size=1m tmpfs /dev/shm && echo x | tarn send s -t 1; code=$?; ls -A /dev/shm; exit $code'
	is_error 1 send
	run unshare -m sh -c 'mount -t tmpfs -o size=16m tmpfs /dev/shm && tarn create s --size 8M && tarn check s && tarn rm s --yes && ls -A /dev/shm'
	is 0
}

@test "a read-only /dev/shm gives a clear error with exit 4" {
	need_own_shm
	run unshare -m sh -c 'mount -t tmpfs -o ro tmpfs /dev/shm && tarn create r'
	is_error 4 create
	says "read-only"
	run unshare -m sh -c 'mount -o remount,ro,bind /dev/shm && echo x | tarn send r -t 1'
	is_error 4 send
}

@test "a region on a /dev/shm that became read-only can still be looked at" {
	need_own_shm
	tarn create "$P" -q
	run unshare -m sh -c "mount -o remount,ro,bind /dev/shm && tarn info $P && tarn check $P"
	is 0
	tarn rm "$P" -y
}

@test "more than any memory there is: an error, at once" {
	run timeout 20 tarn create "$P" --size 4T
	is_error 1 create
	shm_unchanged
	run timeout 20 tarn create "$P" --size 900T
	[ "$status" -eq 1 ] || [ "$status" -eq 2 ]
	shm_unchanged
}

@test "a limit on file sizes gives an error, not a signal" {
	run bash -c "ulimit -f 1024; tarn create $P --size 64M"
	is_error 1 create
	shm_unchanged
}

@test "pages that cannot be had are an error, or less with --try, and what was got is said" {
	run tarn create "$P" --size 4M --pages 1G
	[ "$status" -eq 1 ]
	shm_unchanged
	run tarn create "$P" --size 4M --pages 1G --try -J
	is 0
	json '.items[0].page_bytes == 4096'
	tarn rm "$P" -y
}

@test "another size asked of an existing region is refused with both" {
	tarn create "$P" --size 64K -q
	run sh -c "echo x | tarn send $P -t 1"
	is_error 1 send
	says "4 MiB wanted"
	says "64 KiB"
	says "--ring"
	run tarn check "$P"
	is 0
	tarn rm "$P" -y
}

@test "rm of a region in use says who uses it, and they go on" {
	head -c 1000000 /dev/urandom >in
	mkfifo input
	tarn send "$P" <input 3>&- &
	exec 8>input # the stream goes on until this is closed
	head -c 1000 in >&8
	until_true tarn info "$P"
	tarn recv "$P" >out 3>&- 8>&- &
	receiver=$!
	until_true sh -c "tarn info $P -J | jq -e '.items[0].member_count == 2'"
	run tarn rm "$P"
	is 0
	says "in use by pid"
	says "(tarn)"
	run tarn rm "$P" --yes
	is 0
	tail -c +1001 in >&8
	exec 8>&-
	wait $receiver
	cmp in out
	shm_unchanged
}
