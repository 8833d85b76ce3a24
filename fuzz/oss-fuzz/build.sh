#!/bin/bash
# Builds the fuzz targets the way OSS-Fuzz and ClusterFuzzLite ask: the engine's compilers and flags come in CC, CXX, CFLAGS, CXXFLAGS and
# LIB_FUZZING_ENGINE; the targets go to OUT, each as hakmem_<target> with its seed corpus, dictionary and options. `ci/engines` runs it
# here. With arguments: these targets alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
: "${CXX:?}" "${OUT:?}" "${WORK:?}" "${LIB_FUZZING_ENGINE:?}"

read -ra flags <<<"${CXXFLAGS:-} -std=c++20 -DHAKMEM_CHECKS=1 -DHAKMEM_OVERRIDE=0 -DHAKMEM_WITH_EVOLUTION=1 -DHAKMEM_WITH_ELO=1 -I. -Isrc -Iinclude"
read -ra engine <<<"$LIB_FUZZING_ENGINE"
compile() { "$CXX" "${flags[@]}" "${@:2}" -c "fuzz/$1.cpp" -o "$WORK/$1.o"; }

if [[ $# -gt 0 ]]; then
    targets=("$@")
else
    targets=()
    for source in fuzz/*_fuzz.cpp; do
        targets+=("$(basename "$source" _fuzz.cpp)")
    done
fi

compile entry
for target in "${targets[@]}"; do
    objects=("$WORK/entry.o" "$WORK/${target}_fuzz.o")
    # The kit's worlds, or the library that ships; some targets drive neither.
    for subject in subject fresh_core; do
        if ! grep -q "fuzz/$subject.hpp" "fuzz/${target}_fuzz.cpp"; then
            continue
        fi
        if [[ ! -e $WORK/$subject.made ]]; then
            compile "$subject" -DFUZZ_DEFECT=none -fno-builtin
            touch "$WORK/$subject.made"
        fi
        objects+=("$WORK/$subject.o")
    done
    compile "${target}_fuzz" -fno-builtin
    "$CXX" "${flags[@]}" "${objects[@]}" "${engine[@]}" -lpthread -ldl -o "$OUT/hakmem_$target"
    python3 ci/fuzzkit/corpus.py zip "$target" "$OUT/hakmem_${target}_seed_corpus.zip"
    cp fuzz/oss-fuzz/target.options "$OUT/hakmem_$target.options"
    if [[ -e fuzz/dictionaries/$target.dict ]]; then
        cp "fuzz/dictionaries/$target.dict" "$OUT/hakmem_$target.dict"
    fi
done
rm -f "$WORK"/*.made
