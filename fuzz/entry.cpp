// entry.cpp: libFuzzer's entries. A failure prints the shrunk input as text, then stops the process, so that libFuzzer keeps the bytes.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "fuzz/harness.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string wrong = fuzz::one(data, size);
    if (wrong.empty()) return 0;
    std::fprintf(stderr, "%s\nshrunk input as text, for fuzz/regressions:\n%s", wrong.c_str(), fuzz::show(data, size).c_str());
    std::abort();
}

// Three of four changes are changes of commands; the others know nothing of them, which finds values that no command would take.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned int seed) {
    const std::string changed = seed % 4 == 0 ? std::string() : fuzz::mutate(data, size, most, seed / 4);
    if (changed.empty() || changed.size() > most) return LLVMFuzzerMutate(data, size, most);
    std::memcpy(data, changed.data(), changed.size());
    return changed.size();
}
