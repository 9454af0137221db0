# recover, and what info says of sections and arenas.
load lib.bash
bats_require_minimum_version 1.5.0

inside() { "$BUILD_DIR/tests/cli/inside" "$@" 3>&-; }

# Where section $1 begins in the file.
section_at() { tarn info "$P" -J | jq ".items[0].objects[] | select(.object == \"$1\").offset_bytes"; }

# Its first word of data.
first_word() { tarn cat "$P/data" | od -An -N8 -tx8 | tr -d ' '; }

@test "what a dead owner left is shown, and undone only with --yes" {
	inside "$P"
	[ "$(first_word)" = 00006675006c6c00 ]
	run tarn recover "$P"
	is 0
	says "$P/list"
	says "would roll back"
	says "dry run"
	[ "$(first_word)" = 00006675006c6c00 ]
	run tarn recover "$P" -J
	json '.schema == "tarn.recover/1" and (.items | length) == 1'
	json '.items[0] | .state == "dead" and .pid > 0 and .journal_used_bytes == 128'
	run tarn recover "$P" --yes
	is 0
	says "rolled back"
	[ "$(first_word)" = 0000000000000000 ]
	run tarn recover "$P" --yes -J
	is 0
	json '.items == []'
	run tarn check "$P"
	is 0
	tarn rm "$P" --yes
}

@test "info tells owner, journal and version of sections, and what arenas have" {
	inside "$P"
	run tarn info "$P" -J
	is 0
	json '.items[0].sections | length == 2'
	json '.items[0].sections[] | select(.section == "list") | .state == "dead" and .pid > 0
	      and .journal_bytes == 4096 and .journal_used_bytes == 128 and .version % 2 == 1'
	json '.items[0].sections[] | select(.section == "tree") | .state == "free" and .pid == null'
	json '.items[0].arenas == [.items[0].arenas[0]] and .items[0].arenas[0].used_bytes == null'
	tarn recover "$P" --yes >/dev/null
	run tarn info "$P" -J
	json '.items[0].arenas[0] | .arena == "heap" and .section == "list" and .blocks == 1
	      and .used_bytes == 112 and .size_bytes == 65536 and .used_bytes + .free_bytes <= 65536'
	run tarn info "$P/tree"
	is 0
	says "SECTION"
	[[ $output != *ARENA* && $output != *list* ]]
	tarn rm "$P" --yes
}

@test "a live owner, a stopped one too, is left alone and named" {
	inside "$P"
	tarn recover "$P" --yes >/dev/null
	"$BUILD_DIR/tests/cli/inside" "$P" hold >pid 3>&- &
	until_true test -s pid
	pid=$(cat pid)
	kill -STOP "$pid"
	run tarn recover "$P" --yes -J
	is 0
	json '.items == []'
	run tarn recover "$P/list" --yes -J
	is 1
	json ".items[0] | .state == \"held\" and .pid == $pid and .action == \"none\""
	run tarn info "$P" -J
	json ".items[0].sections[] | select(.section == \"list\") | .state == \"held\" and .pid == $pid"
	kill -9 "$pid"
	wait || true
	run tarn recover "$P/list" --yes
	is 0
	says "rolled back"
	tarn rm "$P" --yes
}

@test "a damaged journal sets the section aside, and --force frees it" {
	inside "$P"
	at=$(section_at list)
	poke "$P" $((at + 384 + 16)) '\377\377\377\377\377\377\377\377' # the second entry's where
	run tarn recover "$P" --yes
	is 6
	says "failed"
	says "journal"
	run tarn check "$P"
	is 6
	says "set aside"
	run tarn info "$P" -J
	json '.items[0].sections[] | select(.section == "list").state == "set aside"'
	run tarn recover "$P/list" --force
	is 0
	says "would free by force"
	run tarn recover "$P/list" --force --yes
	is 0
	says "freed by force"
	run tarn check "$P"
	is 0
	[ "$(first_word)" = 0000000000000000 ] # its entry could be undone
	tarn rm "$P" --yes
}

@test "check names the arena that it cannot look at, and does not call the region sound" {
	inside "$P"
	run tarn check "$P"
	is 4
	says "arena heap not looked at: dead owner"
	says "tarn recover"
	[[ $output != *"sound"* ]]
	run tarn check "$P" -J
	is 4
	json '[.items[] | select(.note | not)] | length == 1'
	json '.items[0] | .where == "arena heap" and .unseen == true and .found > 0'
	json '[.items[] | select(.note)] | length > 0 and all(.[]; .where | test("^section "))'
	tarn recover "$P" --yes >/dev/null
	run tarn check "$P"
	is 0
	says "sound"
	"$BUILD_DIR/tests/cli/inside" "$P" hold >pid 3>&- &
	until_true test -s pid
	pid=$(cat pid)
	run tarn check "$P"
	is 4
	says "arena heap not looked at: its section is held by pid $pid"
	kill -9 "$pid"
	wait || true
	tarn rm "$P" --yes
}

@test "what is not there, and what is no section" {
	inside "$P"
	run tarn recover "$P/nothing"
	is_error 3 recover
	run tarn recover "$P/data" --yes
	is_error 1 recover
	says "it is of kind bytes, and nothing that can be held"
	run tarn recover "${P}x"
	is_error 3 recover
	run tarn recover
	is_error 2 recover
	tarn rm "$P" --yes
}

@test "a region that may only be read is looked at, and not recovered" {
	need_own_shm
	inside "$P"
	chmod 444 "/dev/shm/$P"
	run setpriv --reuid=65534 --clear-groups tarn recover "$P" --owner 0
	is 0
	says "would roll back"
	run setpriv --reuid=65534 --clear-groups tarn recover "$P" --owner 0 --yes
	is_error 4 recover
	chmod 600 "/dev/shm/$P"
	tarn rm "$P" --yes
}

@test "words that contradict each other are told as damage, and mended" {
	inside "$P"
	tarn recover "$P" --yes >/dev/null
	poke "$P" $(($(section_at tree) + 64)) '\372\007' # a lock word that names nobody
	run tarn info "$P" -J
	json '.items[0].sections[] | select(.section == "tree") | .state == "damaged" and .pid == null'
	run tarn recover "$P"
	is 0
	says "would mend"
	run tarn recover "$P" --yes
	is 0
	says "mended"
	run tarn check "$P"
	is 0
	tarn rm "$P" --yes
}

prims() { "$BUILD_DIR/tests/cli/prims" "$P" "$@" 3>&-; }

@test "primitives whose words contradict each other are listed, and mended" {
	prims
	for name in m w s p o q; do
		poke "$P" $(($(section_at $name) + 64)) '\372\007' # lock: nobody
		poke "$P" $(($(section_at $name) + 128)) '\007' # version: held
	done
	run tarn check "$P" -J
	is 1 # recover puts it right
	json '[.items[] | select(.field == "lock")] | length == 6 and all(.repairable)'
	run tarn recover "$P" -J
	is 0
	json '[.items[] | select(.action == "would mend" and .state == "damaged")] | length == 6'
	json '[.items[].kind] | sort == ["mutex", "once", "rwlock", "semaphore", "seqlock", "spin"]'
	json 'all(.items[]; .pid == null and .journal_used_bytes == null)'
	run tarn recover "$P/m" --yes
	is 0
	says "mended"
	run tarn recover "$P" --yes -J
	is 0
	json '[.items[] | select(.action == "mended")] | length == 5'
	run tarn recover "$P" --yes -J
	json '.items == []'
	run tarn check "$P"
	is 0
	tarn rm "$P" --yes
}

@test "of primitives what the dead have is listed, and freed; a live owner is left alone" {
	run -137 prims lock read permit permit spin once seq die
	run tarn recover "$P" -J
	is 0
	json '[.items[] | select(.action == "would free" and .state == "dead" and .pid > 0)] | length == 6'
	run tarn check "$P" # notes of what is no damage
	is 0
	[[ $output =~ "$P: mutex m: dead owner "[0-9]+" has it; the next to lock it is told -EOWNERDEAD (now: tarn recover $P --yes)" ]]
	says "once o: dead owner"
	says "semaphore s: dead owner"
	[[ $output != *"rwlock w"* ]] # a reader leaves nothing to do
	says "$P: sound"
	run tarn check "$P" -q
	is 0
	[ -z "$output" ]
	run tarn check "$P" -J
	is 0
	json '[.items[] | select(.note and .field == "owner" and .found > 0 and .repairable).where]
	      | sort == ["mutex m", "once o", "semaphore s", "sequence lock q", "spin lock p"]'
	run tarn recover "$P/s" --yes
	is 0
	says "freed"
	run tarn locks "$P/s" -J
	json '.items[0].free_permits == 2 and .items[0].threads == []'
	run tarn recover "$P" --yes
	is 0
	run tarn recover "$P" -J
	json '.items == []'
	run tarn recover "$P/m" -J
	is 0
	json '.items[0] | .state == "inconsistent" and .action == "none"'
	run tarn locks "$P/m" -J
	json '.items[0] | .state == "inconsistent" and .pid == null'
	run tarn check "$P"
	is 0
	says "$P: mutex m: inconsistent: an owner died; who locks it is told -EOWNERDEAD, until one has mended"
	[[ $output != *"once o"* ]]
	run tarn check "$P" -J
	is 0
	json '[.items[] | select(.note and .field == "inconsistent" and (.repairable | not)).where]
	      | sort == ["mutex m", "sequence lock q", "spin lock p"]'
	run tarn recover "$P/w" -J # of a reader nothing is left
	json '.items == []'
	"$BUILD_DIR/tests/cli/prims" "$P" permit permit read go stay >pid 3>&- &
	until_true test -s pid
	run tarn recover "$P" --yes -J
	is 0
	json '.items == []'
	run tarn recover "$P/s" --yes -J
	is 1
	json ".items[0] | .state == \"held\" and .pid == $(cat pid) and .action == \"none\""
	kill -9 "$(cat pid)"
	wait || true
	tarn rm "$P" --yes
}
