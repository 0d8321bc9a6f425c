#!/usr/bin/env bash
# Packs the four Python functions into zips for the custom runtime:
#
#     examples/guide/lambda/package.sh [FOLDER]      (default: ./lambda-zips)
#
# Each zip holds app.py, bootstrap and the packages of requirements.txt, for the
# version of the python3 that will run the functions: RUNTIME_PYTHON, by default
# /usr/bin/python3. PYTHON is the interpreter whose pip is used.
set -euo pipefail
out=$(mkdir -p "${1:-lambda-zips}" && cd "${1:-lambda-zips}" && pwd)
cd "$(dirname "$0")"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
version=$("${RUNTIME_PYTHON:-/usr/bin/python3}" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
"${PYTHON:-python3}" -m pip install -q --disable-pip-version-check --no-compile \
  --python-version "$version" --only-binary=:all: --target "$work/packages" -r requirements.txt
for name in process_iot on_connect on_disconnect fetch_iot; do
  cp "$name/app.py" bootstrap "$work/packages/"
  rm -f "$out/$name.zip"
  (cd "$work/packages" && "${PYTHON:-python3}" -m zipfile -c "$out/$name.zip" *)
  echo "$out/$name.zip"
done
