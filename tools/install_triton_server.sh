#!/usr/bin/env bash
# Installs the tritonserver binary of requirements/triton-server.txt into the folder $1, with the python backend for the
# Python of this environment. What it changes outside of that folder: where the machine has no libpython of that version,
# which the backend's processes load, it installs Debian's package of it if it runs as root, and says so.
set -euo pipefail
target=$1
[[ $(uname -s) == Linux ]] || { echo "tritonserver has wheels for Linux alone"; exit 1; }

version=$(python -c 'import sys; print(f"{sys.version_info[0]}.{sys.version_info[1]}")')
library=libpython$version.so.1.0
has_library() { [[ -e $(python -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))')/$library ]] || ldconfig -p | grep -q "$library"; }

if ! has_library; then
  if [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
    echo "Installing the Debian package libpython$version, which Triton's python backend loads ..."
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "libpython$version" >/dev/null; } || true
  fi
  has_library || { echo "Triton's python backend needs $library: apt-get install libpython$version"; exit 1; }
fi

echo "Installing tritonserver into $target ..."
rm -rf "$target"
uv pip install --quiet --python "$(command -v python)" --no-deps --require-hashes --target "$target" -r requirements/triton-server.txt
server=$target/pytriton/tritonserver
stub=$server/python_backend_stubs/$version/triton_python_backend_stub
[[ -e $stub ]] || { echo "this tritonserver has no python backend for Python $version"; exit 1; }
cp "$stub" "$server/backends/python/"
chmod +x "$server/bin/tritonserver" "$server/backends/python/triton_python_backend_stub"
