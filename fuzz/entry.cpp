// entry.cpp: libFuzzer's entries. A failure prints the shrunk input as text, then stops the
// process, so that libFuzzer keeps the bytes.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "fuzz/harness.hpp"

// Not every engine has one; those that have none do not call the mutator either.
extern "C" __attribute__((weak)) std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size,
                                                              std::size_t most);

namespace {

const fuzz::Target& target() {
    return fuzz::targets().front();
}

}  // namespace

// HAKMEM_FUZZ_DEFECT seeds a defect, to see that a campaign finds it.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
    const char* const defect = std::getenv("HAKMEM_FUZZ_DEFECT");
    if (defect == nullptr || fuzz::Defect::seed(defect)) return 0;
    std::fprintf(stderr, "HAKMEM_FUZZ_DEFECT=%s: %s has no such defect\n", defect, target().name);
    std::exit(2);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string wrong = target().one(data, size);
    if (wrong.empty()) return 0;
    std::fprintf(stderr, "%s\nshrunk input as text, for fuzz/regressions:\n%s", wrong.c_str(),
                 target().show(data, size).c_str());
    std::abort();
}

// Three of four changes are changes of commands; the others know nothing of them, which finds
// values that no command would take.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t most, unsigned int seed) {
    const std::string changed =
        seed % 4 == 0 ? std::string() : target().mutate(data, size, most, seed / 4);
    if (changed.empty() || changed.size() > most)
        return LLVMFuzzerMutate == nullptr ? size : LLVMFuzzerMutate(data, size, most);
    std::memcpy(data, changed.data(), changed.size());
    return changed.size();
}
