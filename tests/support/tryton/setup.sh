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
# Exit codes: 0 ready; 77 this machine cannot (no Python, no package index): a test may skip; anything else is a bug.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=${1:-target/tryton}
shift || true
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

cannot() {
  echo "tryton set-up: cannot run here: $1" >&2
  exit 77
}

# The environment may name other databases or configs for a Tryton of the user's own.
unset TRYTOND_CONFIG TRYTOND_DATABASE_URI TRYTOND_LOGGING_CONFIG

if command -v flock >/dev/null; then
  exec 9>"$dir/setup.lock"
  flock 9
fi

want=$(cat "$here/setup.sh" "$here/seed.py" "$here/codes.txt" <(printf '%s\n' "$@") | sha256sum | cut -d' ' -f1)
if [[ -f $dir/ready && $(cat "$dir/ready") == "$want" ]]; then
  exit 0
fi
rm -f "$dir/ready"

packages=('trytond~=8.2.0' 'trytond_sale~=8.2.0' 'trytond_stock~=8.2.0' 'trytond_product~=8.2.0'
  'trytond_company~=8.2.0')
if [[ ! -x $dir/venv/bin/trytond-admin ]]; then
  python=
  for candidate in python3.11 python3 python3.12 python3.13; do
    if command -v "$candidate" >/dev/null &&
      "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
      python=$candidate
      break
    fi
  done
  [[ -n $python ]] || cannot 'no Python 3.10 or newer with venv and pip (Debian: python3 and python3-venv)'
  rm -rf "$dir/venv"
  "$python" -m venv "$dir/venv" || cannot "$python cannot make a virtual environment"
  "$dir/venv/bin/pip" install --quiet --disable-pip-version-check --retries 1 "${packages[@]}" ||
    cannot 'pip could not install Tryton 8.2 (no network, or no package index)'
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
echo "$want" >"$dir/ready"
