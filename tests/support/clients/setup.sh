#!/usr/bin/env bash
# Installs the official clients that the tests drive the sandbox with: Shopify's for Node, Amazon's for Python.
#
#   setup.sh [DIR]        DIR defaults to target/clients
#
# It may be run again at any time and from several tests at once: it does nothing when DIR is already what this script would
# make.
#
#   DIR/venv/bin/python   has requirements.txt
#   DIR/node_modules      what package-lock.json names; the scripts are copied beside it
#
# Exit codes: 0 ready; 77 this machine cannot (no Python or Node, no package index): a test may skip; anything else is a bug.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=${1:-target/clients}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

cannot() {
  echo "set-up of the official clients: cannot run here: $1" >&2
  exit 77
}

if command -v flock >/dev/null; then
  exec 9>"$dir/setup.lock"
  flock 9
fi

want=$(cd "$here" && cat -- *.sh *.mjs *.py *.json *.txt | sha256sum | cut -d' ' -f1)
if [[ -f $dir/ready && $(cat "$dir/ready") == "$want" ]]; then
  exit 0
fi
rm -f "$dir/ready"

python=
for candidate in python3.11 python3 python3.12 python3.13; do
  if command -v "$candidate" >/dev/null &&
    "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
[[ -n $python ]] || cannot 'no Python 3.10 or newer with venv and pip (Debian: python3 and python3-venv)'
command -v npm >/dev/null || cannot 'no Node with npm (20 or newer)'

rm -rf "$dir/venv"
"$python" -m venv "$dir/venv" || cannot "$python cannot make a virtual environment"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check --retries 1 -r "$here/requirements.txt" ||
  cannot 'pip could not install the packages of requirements.txt (no network, or no package index)'
cp "$here"/*.mjs "$here"/package.json "$here"/package-lock.json "$dir/"
(cd "$dir" && npm ci --silent --no-audit --no-fund) ||
  cannot 'npm could not install the packages of package-lock.json (no network, or no registry)'
echo "$want" >"$dir/ready"
