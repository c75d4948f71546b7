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
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
what='the official clients'
source "$here/../setup.sh"

enter "${1:-target/clients}"
unless_ready "$(cd "$here" && cat -- *.sh *.mjs *.py *.json *.txt | sha256sum | cut -d' ' -f1)"
command -v npm >/dev/null || cannot 'no Node with npm (20 or newer)'
make_venv -r "$here/requirements.txt"
cp "$here"/*.mjs "$here"/package.json "$here"/package-lock.json "$dir/"
(cd "$dir" && npm ci --silent --no-audit --no-fund) ||
  cannot 'npm could not install the packages of package-lock.json (no network, or no registry)'
is_ready
