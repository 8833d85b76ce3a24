// What the lifecycle programs share: work of every tier, a bound on memory over many rounds, and
// their main().
#pragma once

#include <iterator>
#include <vector>

#include "../support.hpp"

namespace lifecycle {

inline uint32_t size_for(uint64_t i) {
    static constexpr uint32_t kSizes[] = {1, 16, 100, 1000, 5000, 40'000, 70'000, 300'000};
    return kSizes[i % 8];
}

inline void mixed_work(uint32_t owner, int count, uint32_t (*size)(uint64_t) = size_for) {
    std::vector<stress::Block> blocks;
    for (int i = 0; i < count; ++i)
        blocks.push_back(
            stress::allocate(size(static_cast<uint64_t>(i)), owner, static_cast<uint64_t>(i)));
    for (stress::Block& b : blocks) stress::release(b, "mixed work");
}

// Memory may not grow with the number of rounds; the first rounds fill caches.
template <class F>
void settles(const char* what, int rounds, F&& round) {
    for (int i = 0; i < rounds / 4; ++i) round();
    const size_t before = stress::resident_bytes();
    for (int i = rounds / 4; i < rounds; ++i) round();
    const size_t after = stress::resident_bytes();
    if (!HAKMEM_STRESS_SANITIZED && after > before + (size_t{8} << 20))
        stress::fail("%s: resident memory grew from %zu to %zu KiB in %d rounds", what,
                     before >> 10, after >> 10, rounds - rounds / 4);
}

inline void exit_handler() {
    mixed_work(6, 3);
}

// One scenario per run.
template <size_t N>
int run(char** argv, check_test (&scenarios)[N]) {
    return check_main(argv, check_chain(scenarios, N), CHECK_ALONE, 60, nullptr);
}

}  // namespace lifecycle
