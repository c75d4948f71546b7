#!/usr/bin/env bash
# Makes a real Tryton 8.2 for the tests: a Python venv, a seeded SQLite database to copy, and the facts about it.
#
#   setup.sh [DIR] [CODE=QUANTITY ...]        DIR defaults to target/tryton
#
# Without codes the products are those of codes.txt plus SKU-0001 .. SKU-0020, 100 units each. It may be run again at
# any time and from several tests at once: it does nothing when DIR is already what this script would make.
#
#   DIR/venv/bin/trytond      the server
#   DIR/template/lab.sqlite   the seeded database, one file with no write-ahead log beside it
#   DIR/facts.json            REST key, ids of company, locations, customer and products
#
# A test copies template/ to a folder of its own, writes a config with a free port and that folder, and starts
#   DIR/venv/bin/trytond -c trytond.conf -d lab
#
# Exit codes: see ../setup.sh.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
what=Tryton
source "$here/../setup.sh"

enter "${1:-target/tryton}"
shift || true

# The environment may name other databases or configs for a Tryton of the user's own.
unset TRYTOND_CONFIG TRYTOND_DATABASE_URI TRYTOND_LOGGING_CONFIG

unless_ready "$(cat "$here/setup.sh" "$here/seed.py" "$here/codes.txt" <(printf '%s\n' "$@") | sha256sum | cut -d' ' -f1)"

if [[ ! -x $dir/venv/bin/trytond-admin ]]; then
  make_venv 'trytond~=8.2.0' 'trytond_sale~=8.2.0' 'trytond_stock~=8.2.0' 'trytond_product~=8.2.0' \
    'trytond_company~=8.2.0'
fi

# Everything is made beside the old template, and takes its place only when it is whole.
fresh=$dir/template.new
rm -rf "$fresh"
mkdir -p "$fresh"
: >"$fresh/lab.sqlite"
cat >"$dir/setup.conf" <<CONF
[database]
uri = sqlite://
path = $fresh
[cache]
clean_timeout = 0
CONF
echo 'adminpw-for-tests' >"$dir/password"
admin=("$dir/venv/bin/trytond-admin" -c "$dir/setup.conf" -d lab)
TRYTONPASSFILE=$dir/password "${admin[@]}" -u ir res sale stock --activate-dependencies \
  --email admin@example.invalid >"$dir/setup.log" 2>&1 </dev/null || {
  tail -n 20 "$dir/setup.log" >&2
  echo "tryton set-up: trytond-admin failed, see $dir/setup.log" >&2
  exit 1
}
"$dir/venv/bin/python" "$here/seed.py" "$dir/setup.conf" "$here/codes.txt" "$dir/facts.json.new" "$@" \
  >>"$dir/setup.log" 2>&1 || {
  tail -n 20 "$dir/setup.log" >&2
  echo "tryton set-up: seed.py failed, see $dir/setup.log" >&2
  exit 1
}
"$dir/venv/bin/python" - "$fresh/lab.sqlite" <<'PY'
import sqlite3
import sys

connection = sqlite3.connect(sys.argv[1])
busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
connection.close()
sys.exit(busy)
PY
rm -rf "$dir/template" "$fresh"/lab.sqlite-*
mv "$fresh" "$dir/template"
mv "$dir/facts.json.new" "$dir/facts.json"
is_ready
