# Manual pages: one a verb, one an exported function, clean, and no name leads nowhere.
load lib.bash

pages() { echo "$BUILD_DIR/man"; }

# Cross-references to pages that are neither here ($1) nor other projects'.
lost_references()
{
	grep -h '^\.\(It \)\?Xr ' "$1"/*.[1357] | sed 's/^\.\(It \)\?Xr //' | sort -u |
		while read -r name section _; do
			case $name in shm_open | shm_overview | ftok | errno) continue ;; esac
			[ -e "$1/$name.$section" ] || echo "$name($section)"
		done
}

lint() { mandoc -Tlint "$@" 2>/dev/null | grep -v "referenced manual not found" || true; }

@test "every verb has a page" {
	for verb in $(tarn help | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
		[ -s "$(pages)/tarn-$verb.1" ]
		grep -q "Xr tarn-$verb 1" "$(pages)/tarn.1"
	done
	[ -s "$(pages)/tarn-errors.7" ] && [ -s "$(pages)/tarn-json.5" ]
}

@test "every option of every verb stands on its page" {
	for verb in $(tarn help | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
		for option in $(tarn "$verb" -h | grep -Eo '^ +(-., )?--[a-z-]+' | grep -Eo '\-\-.*'); do
			grep -q "Fl .${option//-/\\\\-}\|Fl \\\\-${option#--}" "$(pages)/tarn-$verb.1" ||
				{ echo "$verb $option"; return 1; }
		done
	done
}

@test "every exported function has a page that names its header and its return values" {
	need nm
	for function in $(nm -D --defined-only "$BUILD_DIR/src/libtarn.so" | awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }'); do
		page=$(pages)/$function.3
		[ -s "$page" ] || { echo "no page for $function"; return 1; }
		grep -q '^.In tarn/' "$page"
		grep -q '^.Sh SEE ALSO' "$page"
	done
}

@test "a function without a comment is refused, and named" {
	cp "$SOURCE_DIR/include/tarn/ring.h" ring.h
	sed -i '/^TARN_END_DECLS/i TARN_API int tarn_ring_seeded(void);' ring.h
	run python3 "$SOURCE_DIR/man/headers2man" --list ring.h
	is 1
	says "tarn_ring_seeded"
}

@test "mandoc finds nothing to complain of, and sees a fault that is put in" {
	need mandoc
	run lint "$(pages)"/*.[1357]
	[ -z "$output" ] || { echo "$output" | head -20; return 1; }
	cp "$(pages)/tarn_now.3" .
	printf '.Xx nothing\n' >>tarn_now.3
	run lint tarn_now.3
	says "Xx"
}

@test "every cross-reference leads to a page; one that does not is seen" {
	run lost_references "$(pages)"
	[ -z "$output" ] || { echo "$output"; return 1; }
	mkdir pages
	cp "$(pages)"/*.[1357] pages
	printf '.Xr tarn_no_such_page 3\n' >>pages/tarn_now.3
	run lost_references pages
	says "tarn_no_such_page"
}

@test "the JSON that verbs print has no key that tarn-json(5) does not explain" {
	tarn create "$P" --size 8M -J >create.json
	tarn send "$P" -t 0 </dev/null 2>/dev/null || true
	tarn info "$P" -J >info.json
	tarn gc "$P" -J >gc.json
	tarn rm "$P" "$P/stream" -J >rm.json
	poke "$P" 80 '\001'
	tarn check "$P" -J >check.json || true
	tarn version -J >version.json
	tarn ls -J -o +pss,numa "$P" >ls.json || [ $? -eq 4 ]
	tarn ps $$ -J >ps.json || [ $? -eq 4 ]
	for file in *.json; do
		for key in $(jq -r '[.. | objects | keys] | flatten | unique | .[]' "$file"); do
			grep -Eq "^.(It )?Li $key( :)?$" "$(pages)/tarn-json.5" || { echo "$file: $key"; return 1; }
		done
	done
	tarn rm "$P" -y
}
