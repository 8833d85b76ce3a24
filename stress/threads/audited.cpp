// audited.cpp: the shipped world under real threads, audited when they are joined: every
// invariant holds and the blocks that the allocator counts as handed out are exactly those that the
// program has.
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "hakmem/hakmem.h"
#include "props/kit/audit_real.hpp"
#include "tests/unit/examples.hpp"

namespace {

using kit::require;

struct Counts {
    unsigned long long small = 0, large = 0, big = 0;
};

constexpr unsigned kThreads = 4, kShared = 256;
constexpr std::size_t kSmallMax = 32 * 1024, kLargeMax = 1024 * 1024;

// Blocks that pass between threads.
std::array<std::atomic<unsigned char*>, kShared> shared{};

std::size_t size_from(std::mt19937_64& random) {
    const auto r = random();
    if (r % 400 == 0) return kLargeMax + 1 + r / 400 % kLargeMax;
    if (r % 40 == 0) return kSmallMax + 1 + r / 40 % (kLargeMax / 2);
    return std::size_t{1} << r / 64 % 15 | r / 4096 % 64;
}

unsigned char* fresh(std::size_t n) {
    auto* const p = static_cast<unsigned char*>(hak_malloc(n));
    if (p == nullptr) std::abort();
    std::memcpy(p, &n, sizeof n < n ? sizeof n : n);
    p[n - 1] = static_cast<unsigned char>(n);
    return p;
}

void work(unsigned seed, unsigned steps, std::vector<unsigned char*>* kept) {
    std::mt19937_64 random(seed);
    std::vector<unsigned char*> mine;
    for (unsigned i = 0; i < steps; ++i) {
        const auto r = random();
        if (r % 3 == 0 && !mine.empty()) {
            std::swap(mine[r / 8 % mine.size()], mine.back());
            hak_free(mine.back());
            mine.pop_back();
        } else if (r % 3 == 1) {
            hak_free(shared[r / 8 % kShared].exchange(fresh(size_from(random)),
                                                      std::memory_order_acq_rel));
        } else {
            mine.push_back(fresh(size_from(random)));
        }
    }
    while (mine.size() > 50) {
        hak_free(mine.back());
        mine.pop_back();
    }
    *kept = std::move(mine);
}

void count(Counts& counts, unsigned char* p) {
    if (p == nullptr) return;
    const std::size_t usable = hak_malloc_usable_size(p);
    ++(usable <= kSmallMax ? counts.small : usable <= kLargeMax ? counts.large : counts.big);
}

void audit(const char* when, const Counts& want) {
    struct hak_audit_result r = {};
    require(hak_audit(&r) == 0, when, ": INV ", r.invariant == nullptr ? "" : r.invariant, ": ",
            r.what == nullptr ? "" : r.what, " (where ", r.where, ", have ", r.have, ", want ",
            r.want, ")");
    std::printf(
        "%s: %llu small, %llu Large, %llu Big blocks out; %llu in lists, %llu posted; %llu slabs, "
        "%llu orphans\n",
        when, r.client_blocks, r.large_blocks, r.big_blocks, r.listed_blocks, r.remote_blocks,
        r.slabs, r.orphans);
    require(r.client_blocks == want.small && r.large_blocks + r.big_blocks == want.large + want.big,
            when, ": the program has ", want.small, " small and ", want.large + want.big,
            " larger blocks");
}

void audited_when_joined() {
    constexpr unsigned kRounds = 8, kSteps = 50000;
    std::vector<unsigned char*> kept;
    for (unsigned round = 0; round < kRounds; ++round) {
        std::array<std::vector<unsigned char*>, kThreads> results;
        std::vector<std::thread> threads;
        for (unsigned t = 0; t < kThreads; ++t)
            threads.emplace_back(work, round * kThreads + t + static_cast<unsigned>(check_seed),
                                 kSteps, &results[t]);
        for (std::thread& t : threads) t.join();
        for (auto& r : results) kept.insert(kept.end(), r.begin(), r.end());
        Counts counts;
        for (unsigned char* p : kept) count(counts, p);
        for (auto& p : shared) count(counts, p.load(std::memory_order_relaxed));
        audit("joined", counts);
        // The main thread frees what threads that are gone have allocated.
        for (std::size_t i = 0; i < kept.size(); i += 2) hak_free(kept[i]), kept[i] = nullptr;
        std::erase(kept, nullptr);
    }
    for (unsigned char* p : kept) hak_free(p);
    for (auto& p : shared) hak_free(p.exchange(nullptr, std::memory_order_relaxed));
    hak_trim(0);
    audit("all freed", {});
    struct hak_stats s;
    hak_stats(&s, sizeof s);
    require(s.used_units_bytes + s.big_bytes == 0, s.used_units_bytes, " bytes of units and ",
            s.big_bytes, " of Big blocks are in use though all is freed");
    // Every thread has been joined, so no refill is under way.
    require(
        s.refills != 0 &&
            s.refills_own + s.refills_others + s.refills_opened + s.refills_failed == s.refills &&
            s.refills_opened == s.slab_opens,
        s.refills, " refills: ", s.refills_own, " own, ", s.refills_others, " others, ",
        s.refills_opened, " opened, ", s.refills_failed, " failed; ", s.slab_opens,
        " slabs opened");
}

}  // namespace

int main(int, char** argv) {
    check_test examples[] = {CHECK_TEST(audited_when_joined)};
    return unit::run(argv, examples);
}
