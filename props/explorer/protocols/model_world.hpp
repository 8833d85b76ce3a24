// model_world.hpp: the world in which the explorer runs the allocator: few size classes, two blocks
// of the largest one in a slab, two such slabs in a superslab, four superslabs, four heaps.
// Everything else is the source that ships.
#pragma once

#include <cstdint>
#include <iterator>
#include <new>
#include <string>
#include <type_traits>

#include "heap/fork.hpp"
#include "heap/resize.hpp"

#include "audit/invariants.hpp"
#include "props/explorer/protocols/model_pal.hpp"

namespace hak {
[[noreturn]] inline void assertion_failed(const char* condition, const char* file, int line) {
    explorer::fail(std::string("assertion failed: ") + condition + " at " + file + ":" +
                   std::to_string(line));
}
}  // namespace hak

namespace protocols {

// The narrow geometry has slabs of one unit; in the wide one the slabs that the scenarios use have
// two.
#ifdef PROTOCOLS_WIDE
inline constexpr std::size_t kUnitsPerSlab = 2;
#else
inline constexpr std::size_t kUnitsPerSlab = 1;
#endif
inline constexpr std::size_t kUnitBytes = 64, kBlocksPerSlab = 2,
                             kBlockBytes = kUnitsPerSlab * kUnitBytes / kBlocksPerSlab;
inline constexpr std::size_t kSlotBytes = 2 * kUnitsPerSlab * kUnitBytes,
                             kLargeBytes = kSlotBytes / 2;

inline constexpr hak::Config kModelConfig{
    .page_bytes = kPage,
    .unit_bytes = kUnitBytes,
    .units_per_superslab = 2 * kUnitsPerSlab,
    .small_bytes_max = kBlockBytes,
    .linear_bytes_max = kBlockBytes,
    .slab_blocks_min = 2,
    .bin_bytes_max = 32,
    .bin_blocks_min = 1,
    .bin_blocks_max = 1,
    .window_bytes = 4 * kSlotBytes,
    .window_bytes_min = 4 * kSlotBytes,
    .heaps_max = Kernel::kHeaps,
    .kept_units_max = kUnitsPerSlab,
    .kept_places = 2,
    .visits_max = 2,
    .visit_slabs_max = 2,
    .idle_looks_per_heap = 0,  // a living thread's heap may be visited at any time
    .warm_orphans_max = 0,     // what is empty is released at once
    .committed_runs_max = 4,
};
static_assert(hak::is_valid(kModelConfig));

// Which heuristics the scenario leaves to the explorer: a set of bits.
inline unsigned open_heuristics = 0;
inline const char* name_of(hak::Heuristic h) {
    switch (h) {
        case hak::Heuristic::bin_full:
            return "bin_full";
        case hak::Heuristic::keep_foreign:
            return "keep_foreign";
        case hak::Heuristic::collect:
            return "collect";
        case hak::Heuristic::keep_run:
            return "keep_run";
        case hak::Heuristic::keep_empty:
            return "keep_empty";
        case hak::Heuristic::keep_warm:
            return "keep_warm";
        case hak::Heuristic::housekeep:
            return "housekeep";
        case hak::Heuristic::flush:
            return "flush";
        case hak::Heuristic::visit_orphans:
            return "visit_orphans";
        case hak::Heuristic::adopt:
            return "adopt";
        case hak::Heuristic::promising:
            return "promising";
        case hak::Heuristic::idle:
            return "idle";
        case hak::Heuristic::visited_enough:
            return "visited_enough";
        case hak::Heuristic::cache_full:
            return "cache_full";
        case hak::Heuristic::flush_batch:
            return "flush_batch";
        case hak::Heuristic::due:
            return "due";
        case hak::Heuristic::batch_full:
            return "batch_full";
        case hak::Heuristic::decommit:
            return "decommit";
    }
    return "";
}

// What a thread does that finds a lock held. `waits`: it waits until the lock is free, which is all
// that the other protocols need of a lock. `sleeps`: it sleeps on the futex. `looks`: it looks once
// more, whatever it may find, and sleeps then.
enum class Held : std::uint8_t { waits, sleeps, looks };

template <Held kHeld>
struct WorldOf {
    struct Sync : explorer::Sync {
        static constexpr int kSpins = kHeld == Held::sleeps ? 0 : 1;
        struct Look {
            void retry() {}
            void wait() {}
        };
        using Loop = std::conditional_t<kHeld == Held::looks, Look, explorer::Sync::Loop>;

        static bool choose(hak::Heuristic h, bool usual, const Where& where = Where::current()) {
            const bool is_open =
                (open_heuristics >> static_cast<unsigned>(h) & 1) != 0 && !kernel.is_child.get();
            // A run that a heap keeps never reaches the pool, which is what most scenarios with
            // Large blocks are about.
            if (!is_open) return usual && h != hak::Heuristic::keep_run;
            return (explorer::choose(2, name_of(h), where) == 0) == usual;
        }
    };
    using Pal = ModelPal<WorldOf>;
    using Probe = hak::NoProbe;
    static constexpr hak::Config kConfig = kModelConfig;

    static void* current_heap() { return kernel.heap_words[explorer::self()].get(); }
    static void set_current_heap(void* heap) { kernel.heap_words[explorer::self()].set(heap); }
    static bool arm_exit_hook(void*) { return kernel.can_hook[explorer::self()].get(); }
    static hak::Tunables read_tunables() {
        hak::Tunables t;
        t.window_bytes = kModelConfig.window_bytes;
        return t;
    }
    [[noreturn]] static void fault(hak::Fault fault, hak::Entry, const void*) {
        explorer::fail(std::string("a client is accused: ") + hak::text_of(fault));
    }
};

using World = WorldOf<Held::waits>;
static_assert(hak::World<World> && hak::World<WorldOf<Held::sleeps>> &&
              hak::World<WorldOf<Held::looks>>);

using Heap = hak::Heap<World>;
using UnitRecord = hak::UnitRecord<World>;
using Block = hak::Block<World>;

inline auto& window = hak::window<World>;
inline auto& pool = hak::pool<World>;
inline auto& heaps = hak::heaps<World>;
inline auto& reclaim = hak::reclaim<World>;

// One process before its first call, whose words are watched.
template <class W>
class ProcessOf {
  public:
    explicit ProcessOf(explorer::Scenario& scenario) : scenario_(scenario) {
        begin(kernel, "kernel");
        begin(hak::window<W>, "window");
        begin(hak::pool<W>, "pool");
        begin(hak::reclaim<W>, "reclaim");
        begin(hak::heaps<W>, "heaps");
        begin(hak::empty_heap<W>, "empty_heap");
        begin(hak::exited_heap<W>, "exited_heap");
        begin(hak::start_lock<W>, "start_lock");
        begin(hak::tunables<W>, "tunables");
        begin(hak::forking_thread<W>, "forking_thread");
        for (auto& word : kernel.heap_words) word.set(&hak::empty_heap<W>);
        for (auto& can : kernel.can_hook) can.set(true);
    }

  private:
    template <class T>
    void begin(T& object, const char* name) {
        scenario_.watch(object, name);
        ::new (static_cast<void*>(&object)) T{};
    }

    explorer::Scenario& scenario_;
};
using Process = ProcessOf<World>;

}  // namespace protocols
