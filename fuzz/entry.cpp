// entry.cpp: libFuzzer's entry. A failure prints the shrunk input as text, then stops the process, so that libFuzzer keeps the bytes.
#include <cstdio>
#include <cstdlib>

#include "fuzz/harness.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string wrong = fuzz::one(data, size);
    if (wrong.empty()) return 0;
    std::fprintf(stderr, "%s\nshrunk input as text, for fuzz/regressions:\n%s", wrong.c_str(), fuzz::show(data, size).c_str());
    std::abort();
}
