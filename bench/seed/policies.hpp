// What hak_alloc_at() does of the learning layer on its way to the allocator: four ways, each over
// the allocator that ships.
//
//   Before   what the page that asked for this layer found: a runtime test of the features, an
//            atomic tick for each allocation that looks at the clock once in 1024, and every 100th
//            allocation selects a strategy and records a sample
//   P01      that page's first step: tests and tick are compiled out; the selection is still
//            sampled
//   P02      its second step: the strategy is read from one published word
//   Shipped  what hakmem does: nothing. The word is read on slow paths alone
//
// Learner and chooser are those of src/learning. None of the worlds has an observer on its slow
// paths, so that the four differ in this alone.
#pragma once

#include <cstdio>
#include <cstdlib>

#include "sys/pal_linux.hpp"
#include "sys/pal_linux_statm.hpp"

#include "heap/allocate.hpp"
#include "heap/deallocate.hpp"
#include "heap/fork.hpp"

#include "learning/elo.hpp"
#include "learning/learner.hpp"

namespace hak::bench {

// The allocator once more, with heaps of its own, for each policy.
template <class Policy>
struct SeedWorld {
    using Sync = StdSync;
    using Pal = LinuxPal;
    using Probe = NoProbe;
    static constexpr Config kConfig{};

    static void* current_heap();
    static void set_current_heap(void* heap);
    // The threads of this program end with it, and their heaps with them.
    static bool arm_exit_hook(void*) { return true; }
    static Tunables read_tunables() {
        Tunables tunables;
        // callgrind's address space has room for four of them
        tunables.window_bytes = std::size_t{4} << 30;
        return tunables;
    }
    [[noreturn]] static void fault(Fault fault, Entry, const void*) noexcept {
        std::fprintf(stderr, "bench_seed: %s\n", text_of(fault));
        std::abort();
    }
};

template <class Policy>
inline constinit thread_local Heap<SeedWorld<Policy>>* heap_of = &empty_heap<SeedWorld<Policy>>;

template <class Policy>
void* SeedWorld<Policy>::current_heap() {
    return heap_of<Policy>;
}
template <class Policy>
void SeedWorld<Policy>::set_current_heap(void* heap) {
    heap_of<Policy> = static_cast<Heap<SeedWorld>*>(heap);
}

using policy::Decision, policy::Phase, policy::Strategy;
using Decider = policy::Trials<policy::Elo>;
template <class Policy>
alignas(kCacheLine) inline constinit policy::Learner<SeedWorld<Policy>, Decider> learner_of{};

template <class Policy>
void start_learner() {
    policy::EvolutionConfig config;
    config.freezes = false;
    Decider decider(config, 125'000'000);
    decider.begin(LinuxPal::now_ns(), 1);
    learner_of<Policy>.start(decider, LinuxPal::now_ns(), {LinuxPal::page_faults()});
}

// How many samples the chooser has: shows that a policy that shall learn on the hot path does.
template <class Policy>
std::uint64_t samples_of() {
    return learner_of<Policy>.with(
        [](Decider& decider) { return decider.chooser().samples().count(); });
}

// One call in a hundred chooses a strategy anew and counts as a sample of it. The page takes no
// time for the sample; a sample of zero is one nanosecond here. The counter is shared and no
// read-modify-write, because the page says that after its first step none is left.
template <class Policy>
struct SampledSelection {
    alignas(kCacheLine) static inline constinit StdSync::Atomic<std::uint64_t> calls{};
    static inline constinit StdSync::Atomic<std::uint64_t> selected{
        policy::index_of(policy::kDefaultStrategy)};

    static HAK_INLINE Strategy strategy() {
        // relaxed: a count of its own, and lost counts do no harm
        const std::uint64_t n = calls.load(order::relaxed);
        calls.store(n + 1, order::relaxed);
        if (n % 100 == 0) [[unlikely]]
            select();
        // relaxed: the index is all that is read
        return policy::strategy_at(static_cast<unsigned>(selected.load(order::relaxed)));
    }

  private:
    static HAK_COLD void select() {
        const Strategy chosen = learner_of<Policy>.with([](Decider& decider) {
            const Strategy s = decider.chooser().select(decider.random());
            decider.chooser().record(s, {1, 0, 0, 0});
            return s;
        });
        selected.store(policy::index_of(chosen), order::relaxed);  // relaxed: as above
    }
};

struct Before {
    static constexpr const char* kName = "SeedBefore";
    static constexpr unsigned kEvolution = 1, kElo = 2;
    // A run-time setting: the compiler cannot know it.
    alignas(kCacheLine) static inline constinit StdSync::Atomic<unsigned> features{kEvolution |
                                                                                   kElo};
    alignas(kCacheLine) static inline constinit StdSync::Atomic<std::uint64_t> ticks{};

    // relaxed: a setting
    static HAK_INLINE bool enabled(unsigned feature) {
        return (features.load(order::relaxed) & feature) != 0;
    }

    static HAK_INLINE std::size_t threshold() {
        // relaxed: it only spaces the looks at the clock
        if (enabled(kEvolution) && (ticks.fetch_add(1, order::relaxed) & 0x3ff) == 0) [[unlikely]]
            tick();
        if (!enabled(kElo)) return policy::threshold_of(policy::kDefaultStrategy);
        const Decision d = learner_of<Before>.decision();
        if (d.phase == Phase::learn)
            return policy::threshold_of(SampledSelection<Before>::strategy());
        return policy::threshold_of(d.confirmed);
    }

  private:
    static HAK_COLD void tick() {
        learner_of<Before>.tick(LinuxPal::now_ns(),
                                [] { return policy::Reading{LinuxPal::page_faults()}; });
    }
};

struct P01 {
    static constexpr const char* kName = "P0-1";
    static HAK_INLINE std::size_t threshold() {
        return policy::threshold_of(SampledSelection<P01>::strategy());
    }
};

struct P02 {
    static constexpr const char* kName = "P0-2";
    static HAK_INLINE std::size_t threshold() {
        return policy::threshold_of(learner_of<P02>.decision().strategy);
    }
};

struct Shipped {
    static constexpr const char* kName = "shipped";
    static HAK_INLINE std::size_t threshold() { return SIZE_MAX; }
};

// A function of its own, as it is in what ships (api/malloc.hpp).
template <class Policy>
HAK_NOINLINE void* alloc_missed(std::size_t bytes) {
    return allocate_missed<SeedWorld<Policy>>(heap_of<Policy>, bytes).block;
}

// At or above the threshold a block does not pass through the lists, as it would not have in the
// seed's allocator. The site changes nothing.
template <class Policy>
HAK_NOINLINE void* hak_alloc_at(std::size_t bytes, const void* /*site*/) {
    if (bytes >= Policy::threshold()) [[unlikely]]
        return alloc_missed<Policy>(bytes);
    void* const hit = allocate_hit<SeedWorld<Policy>>(heap_of<Policy>, bytes);
    return hit != nullptr ? hit : alloc_missed<Policy>(bytes);
}

template <class Policy>
HAK_NOINLINE void hak_free(void* p) {
    deallocate<SeedWorld<Policy>>(heap_of<Policy>, p);
}

}  // namespace hak::bench
