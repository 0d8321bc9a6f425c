#!/usr/bin/env bash
# Packs the four Python functions into zips for the custom runtime:
#
#     examples/guide/lambda/package.sh [FOLDER]      (default: ./lambda-zips)
#
# Each zip holds app.py, bootstrap and the packages of requirements.txt. PYTHON
# names the interpreter whose version the functions will be run with.
set -euo pipefail
out=$(mkdir -p "${1:-lambda-zips}" && cd "${1:-lambda-zips}" && pwd)
cd "$(dirname "$0")"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m pip install -q --disable-pip-version-check --no-compile --target "$work/packages" -r requirements.txt
for name in process_iot on_connect on_disconnect fetch_iot; do
  cp "$name/app.py" bootstrap "$work/packages/"
  rm -f "$out/$name.zip"
  (cd "$work/packages" && "${PYTHON:-python3}" -m zipfile -c "$out/$name.zip" *)
  echo "$out/$name.zip"
done
