// What the asan build must report in the allocator's sources, seeded: this file is in none of the
// folders of integers.txt.
//
//   integer_canary silent | wraps | truncates | changes_sign
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "base/bits.hpp"

int main(int argc, char** argv) {
    const char* const which = argc == 2 ? argv[1] : "";
    volatile std::uint64_t big = UINT64_MAX - 3;
    volatile std::uint32_t narrow = 0;
    volatile std::int32_t number = -3;
    if (std::strcmp(which, "silent") == 0) {
        narrow = static_cast<std::uint32_t>(
            hak::wrapping_mul<std::uint64_t>(hak::wrapping_sub<std::uint64_t>(3, big), big));
    } else if (std::strcmp(which, "wraps") == 0) {
        big = hak::align_up(big, 4096);
    } else if (std::strcmp(which, "truncates") == 0) {
        narrow = big;
    } else if (std::strcmp(which, "changes_sign") == 0) {
        narrow = number;
    } else {
        std::fprintf(stderr, "usage: %s CASE\n", argv[0]);
        return 2;
    }
    return narrow == 77 ? 3 : 0;
}
