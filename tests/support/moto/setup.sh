#!/usr/bin/env bash
# Makes moto's server for the tests, which stands in for AWS: a Python venv with one pinned release.
#
#   setup.sh [DIR]        DIR defaults to target/moto
#
# It may be run again at any time and from several tests at once. A test then starts
#   DIR/venv/bin/moto_server -H 127.0.0.1 -p 0
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
what=moto
source "$here/../setup.sh"
package='moto[server]==5.2.5'

enter "${1:-target/moto}"
unless_ready "$package"
make_venv "$package"
is_ready
