#!/bin/bash
# What OSS-Fuzz runs, on the sources that are checked out.
set -euo pipefail
exec "$SRC/hakmem/fuzz/oss-fuzz/build.sh"
