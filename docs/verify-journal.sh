#!/bin/sh
# Verifies the journal of a Kaizen data plane with nothing but the sqlite3 command and SHA-256:
#     docs/verify-journal.sh AI/db/kaizen.db
# Prints "ok: N entries, head SEQ CHAINHASH" and ends with 0, or "broken at seq N" with 1; 2 means it could not be read.
# One snapshot is read, so kaizend may run and write meanwhile.
set -eu
[ -f "${1:-}" ] || { echo "usage: $0 DB" >&2; exit 2; }
db=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
sha256=$(command -v sha256sum || echo "shasum -a 256")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
# What each entry's hash covers becomes a file: prev_hash and the canonical JSON of the entry.
sqlite3 -readonly -batch -bail "$db" >/dev/null <<'SQL' || exit 2
.timeout 5000
.mode list
.separator " "
BEGIN;
SELECT writefile(printf('%019d', seq), prev_hash || '{"actor":' || json_quote(actor) || ',"at":' || json_quote(at)
  || ',"operation":' || json_quote(operation) || ',"rows":' || rows || ',"seq":' || seq
  || ',"session":' || json_quote(session) || ',"task_id":' || json_quote(task_id) || '}') FROM journal;
.once chain
SELECT seq, chain_hash, prev_hash FROM journal ORDER BY seq;
.once head
SELECT group_concat(seq || ' ' || chain_hash, ' ') FROM plane_head;
SQL
find . -name '[0-9]*' -exec $sha256 {} + | sort -k 2 | cut -c 1-64 >hashes
paste -d ' ' chain hashes | head=$(cat head) awk '
  BEGIN { n = 0; last = sprintf("%064d", 0); head = ENVIRON["head"]; split(head, at, " ") }
  $1 != n + 1 || $2 != $4 || $3 != last || NF != 4 { bad = 1; broken = n + 1; exit }
  { n = $1; last = $2 }
  END { if (!bad && head != n " " last) { bad = 1; broken = at[1] == n ? n : (at[1] < n ? at[1] : n) + 1 }
    print bad ? "broken at seq " broken : "ok: " n " entries, head " head; exit bad + 0 }'
