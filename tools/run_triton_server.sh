#!/usr/bin/env bash
# Serves the model repository $1 with the tritonserver that `make triton-server` installed, on 127.0.0.1: HTTP 8000,
# gRPC 8001, metrics 8002. What follows $1 goes to tritonserver and wins over what is set here.
set -euo pipefail
repository=${1:?usage: tools/run_triton_server.sh REPOSITORY [tritonserver options]}
shift
home=${KINDRED_TRITON_HOME:-$(dirname "$0")/../.triton}/pytriton/tritonserver
[[ -x $home/bin/tritonserver ]] || { echo "There is no tritonserver: make triton-server"; exit 1; }

# the python backend's processes use the interpreter and the packages of this environment
PYTHONPATH=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
LD_LIBRARY_PATH=$(python -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))')${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export PYTHONPATH LD_LIBRARY_PATH

options=(
  --backend-directory="$home/backends"
  --cache-directory="$home/caches"
  --cache-config=local,size=16777216 # of the text models' answers
  --model-control-mode=explicit '--load-model=*'
  --exit-on-error=false            # a model that can't be loaded is not ready, the others serve
  --disable-auto-complete-config   # ours are complete; each would cost the start of one more Python
  --model-load-thread-count=1
  --http-address=127.0.0.1 --grpc-address=127.0.0.1 --metrics-address=127.0.0.1
  --exit-timeout-secs=3
)
exec "$home/bin/tritonserver" --model-repository="$repository" "${options[@]}" "$@"
