// refused_test.cpp: a request for more memory than the system has takes nothing for good: not the
// tables that would describe it, whose commit charge (one byte for 500) never goes back. In a
// window of the size that ships.
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "hakmem/hakmem.h"
#include "props/kit/audit_real.hpp"
#include "props/kit/broken.hpp"
#include "tests/unit/examples.hpp"

namespace {

using kit::require;
using std::size_t;

constexpr size_t kMiB = size_t{1} << 20, kGiB = size_t{1} << 30;
constexpr size_t kTooMuch = 700 * kGiB;  // inside the window; its tables would take 1.4 GiB

// Private writable memory of this process: what counts towards the commit limit.
size_t writable_bytes() {
    std::FILE* const file = std::fopen("/proc/self/status", "r");
    require(file != nullptr, "there is no /proc/self/status");
    char line[256];
    size_t kib = 0;
    while (std::fgets(line, sizeof line, file) != nullptr) {
        if (std::sscanf(line, "VmData: %zu", &kib) == 1) break;
    }
    std::fclose(file);
    return kib << 10;
}

// What `request` did not get cost nothing. A system that grants everything (vm.overcommit_memory=1)
// leaves nothing to see.
template <class Request>
void expect_refused(const char* what, Request request) {
    const size_t before = writable_bytes();
    errno = 0;
    void* const p = request();
    if (p != nullptr) return hak_free(p);
    require(errno == ENOMEM, what, " set errno to ", errno);
    const size_t after = writable_bytes();
    require(after < before + 64 * kMiB, what, " was refused and left ", (after - before) / kMiB,
            " MiB behind");
}

void what_was_refused_cost_nothing() {
    expect_refused("malloc", [] { return hak_malloc(kTooMuch); });
    auto* const block = static_cast<char*>(hak_malloc(4 * kMiB));
    require(block != nullptr, "no memory for 4 MiB");
    std::memset(block, 7, 4 * kMiB);
    const size_t before = writable_bytes();
    errno = 0;
    void* const grown = hak_realloc(block, kTooMuch);
    if (grown == nullptr) {
        require(errno == ENOMEM && block[0] == 7 && block[4 * kMiB - 1] == 7,
                "a realloc that was refused touched its block, or errno is ", errno);
        require(writable_bytes() < before + 64 * kMiB,
                "a realloc was refused and left memory behind");
    }
    hak_free(grown != nullptr ? grown : block);
    // What the system has is worth its tables: more than half a GiB, which nobody touches.
    void* const large = hak_malloc(600 * kMiB);
    require(large != nullptr, "no memory for 600 MiB");
    hak_free(large);
    hak_audit_result result;
    require(hak_audit(&result) == 0, "INV ", result.invariant, ": ", result.what);
}

}  // namespace

int main(int, char** argv) {
    check_test examples[] = {CHECK_TEST(what_was_refused_cost_nothing)};
    return unit::run(argv, examples);
}
