// worlds.hpp: TinyWorld, in which a superslab has eight units of 1 KiB, a slab a handful of blocks,
// and every corner is near; and worlds like it with a seeded defect, which prove that the suites
// can see.
#pragma once

#include <array>
#include <new>
#include <type_traits>
#include <vector>

#include "heap/fork.hpp"
#include "heap/resize.hpp"

#include "audit/invariants.hpp"
#include "props/kit/fake_os.hpp"

namespace hak {
[[noreturn]] inline void assertion_failed(const char* condition, const char* file, int line) {
    kit::broken("assertion failed: ", condition, " at ", file, ":", line);
}
}  // namespace hak

namespace kit {

inline constexpr hak::Config kTinyConfig{
    .page_bytes = FakeOs::kPage,
    .unit_bytes = 1024,
    .units_per_superslab = 8,
    .small_bytes_max = 256,
    .linear_bytes_max = 64,
    .slab_blocks_min = 8,  // classes above 128 bytes take slabs of two units
    .bin_bytes_max = 256,
    .bin_blocks_min = 2,
    .bin_blocks_max = 8,
    .window_bytes = 64 * 8 * 1024,
    .window_bytes_min = 16 * 8 * 1024,
    .heaps_max = 16,
    .kept_units_max = 2,
    .visits_max = 2,
    .visit_slabs_max = 3,
    .idle_looks_per_heap = 1,
    .warm_orphans_max = 1,
    .committed_runs_max = 4,
};
static_assert(hak::is_valid(kTinyConfig));

inline constexpr unsigned kThreads = 4;

// Logical threads: each has a heap word of its own, all are driven by the one real thread.
struct Threads {
    struct Thread {
        void* heap = nullptr;
        bool can_hook = true;  // whether arm_exit_hook works
        bool hooked = false;
    };
    std::array<Thread, kThreads> all{};
    unsigned current = 0;

    Thread& now() { return all[current]; }
};
inline Threads threads;

struct FakePal {
    static std::size_t page_bytes() { return FakeOs::kPage; }
    static std::size_t ram_bytes() { return 4096; }
    static std::size_t address_space_left() { return SIZE_MAX; }
    using Where = std::source_location;
    static void* reserve(std::size_t n, std::size_t alignment, Where where = Where::current()) {
        return os.come_from(where), os.reserve(n, alignment);
    }
    static void unreserve(void* p, std::size_t n) { os.unreserve(p, n); }
    static bool expose(void* p, std::size_t n, Where where = Where::current()) {
        return os.come_from(where), os.expose(p, n);
    }
    static bool commit(void* p, std::size_t n, Where where = Where::current()) {
        return os.come_from(where), os.commit(p, n);
    }
    static bool could_commit(std::size_t) { return true; }
    static bool decommit(void* p, std::size_t n, Where where = Where::current()) {
        return os.come_from(where), os.decommit(p, n);
    }
    static bool purge(void* p, std::size_t n, Where where = Where::current()) {
        return os.come_from(where), os.purge(p, n);
    }
    static void advise_huge(void* p, std::size_t n) { os.advise(p, n); }
    static void advise_no_huge(void* p, std::size_t n) { os.advise(p, n); }
    static void advise_dump(void* p, std::size_t n) { os.advise_dump(p, n, true); }
    static void advise_no_dump(void* p, std::size_t n) { os.advise_dump(p, n, false); }
    static std::uint64_t now_ms() { return os.now_ms(); }
    static std::uint64_t entropy() { return 0x9e3779b97f4a7c15u; }
    static std::uintptr_t thread_id() { return threads.current + 1; }
    // One thread drives all: waiting for another one would be for ever.
    static void sleep_while(std::uint32_t*, std::uint32_t) {
        broken("a lock is taken that is held already, or a visitor waited for");
    }
    static void wake_one(std::uint32_t*) {}
};

inline constexpr hak::Tunables kTinyTunables{
    .purge_delay_ms = 100,
    .decommit_delay_ms = 300,
    .cache_bytes_max = 6 * kTinyConfig.superslab_bytes(),
    // Large blocks of half a superslab, and all Big ones
    .batch_threshold = 4 * kTinyConfig.unit_bytes,
    .batch_bytes_max = 3 * kTinyConfig.superslab_bytes(),
};
// What the process reads when its window opens.
inline hak::Tunables options = kTinyTunables;

// Seeded defects. `lost_remote_block`: a drain of several posted blocks loses the first.
// `lying_purge`: purge says that memory is zero and leaves it. `lost_pending`: every fourth push
// onto a pending list gets lost. `deadly`: a purge does not return, in the way that `die` says.
inline unsigned defect_count = 0;
enum class Defect : std::uint8_t { none, lost_remote_block, lying_purge, lost_pending, deadly };
inline void (*die)() = nullptr;

template <Defect kDefect>
struct WorldOf {
    struct Sync : hak::StdSync {
        template <class T>
        class Atomic : public hak::StdSync::Atomic<T> {
            using Base = hak::StdSync::Atomic<T>;

          public:
            using Base::Base;
            T exchange(T value, std::memory_order o) {
                T seen = Base::exchange(value, o);
                if constexpr (kDefect == Defect::lost_remote_block &&
                              std::is_same_v<T, hak::Address>) {
                    if (const auto block = seen & ~hak::kQueued;
                        block != 0 && *hak::pointer_to<hak::Address>(block) != 0) {
                        return *hak::pointer_to<hak::Address>(block);
                    }
                }
                return seen;
            }
            bool cas_weak(T& expected, T desired, std::memory_order success,
                          std::memory_order failure) {
                if constexpr (kDefect == Defect::lost_pending && std::is_pointer_v<T>) {
                    // Of a push alone: a pop that changes nothing would go on for ever.
                    const bool pushes =
                        desired != nullptr && desired->pending_next.get() == expected;
                    if (pushes && ++defect_count % 4 == 0) return true;
                }
                return Base::cas_strong(expected, desired, success, failure);
            }
        };
    };
    struct Pal : FakePal {
        static bool purge(void* p, std::size_t n, Where where = Where::current()) {
            if constexpr (kDefect == Defect::lying_purge) return true;
            if constexpr (kDefect == Defect::deadly) die();
            return FakePal::purge(p, n, where);
        }
    };
    using Probe = hak::NoProbe;
    static constexpr hak::Config kConfig = kTinyConfig;

    static void* current_heap() { return threads.now().heap; }
    static void set_current_heap(void* heap) { threads.now().heap = heap; }
    static bool arm_exit_hook(void*, std::source_location where = std::source_location::current()) {
        os.come_from(where);
        threads.now().hooked = threads.now().can_hook && os.arm();
        return threads.now().hooked;
    }
    static void* hit_heap() { return threads.now().heap; }
    static hak::Tunables read_tunables() { return options; }
    [[noreturn]] static void fault(hak::Fault fault, hak::Entry entry, const void* p) {
        throw ClientFault{fault, entry, p};
    }
};

using TinyWorld = WorldOf<Defect::none>;
static_assert(hak::World<TinyWorld>);

template <class T>
void reconstruct(T& object) {
    object.~T();
    ::new (static_cast<void*>(&object)) T{};
}

// reclaim's lock is the token of the one thread that returns memory, so it is held across those
// calls by design of reclaim.hpp.
template <hak::World W>
bool no_lock_is_held() {
    return hak::forking_thread<W>.load(hak::order::relaxed) != 0 ||
           (!hak::pool<W>.lock().is_held() && !hak::heaps<W>.lock().is_held());
}

// The state before the first call of a process: the same bits for every history.
template <hak::World W>
void reset_world() {
    os.reset();
    os.set_lock_check(no_lock_is_held<W>);
    reconstruct(hak::window<W>);
    reconstruct(hak::pool<W>);
    reconstruct(hak::reclaim<W>);
    reconstruct(hak::heaps<W>);
    reconstruct(hak::empty_heap<W>);
    reconstruct(hak::exited_heap<W>);
    reconstruct(hak::start_lock<W>);
    reconstruct(hak::tunables<W>);
    hak::forking_thread<W>.store(0, hak::order::relaxed);
    threads = {};
    options = kTinyTunables;
    defect_count = 0;
    for (auto& t : threads.all) t.heap = &hak::empty_heap<W>;
}

template <hak::World W>
hak::Heap<W>* heap_of(unsigned thread) {
    return static_cast<hak::Heap<W>*>(threads.all[thread].heap);
}

// Runs Audit with scratch of its own.
template <hak::World W>
class Auditor {
  public:
    enum class Scope : std::uint8_t { pool, everything };

    void check(Scope scope, bool read_zero, const hak::UnitRecord<W>* const* in_flight = nullptr,
               unsigned in_flight_count = 0) {
        scratch_.resize(hak::window<W>.is_open() ? hak::Audit<W>::scratch_words() : 0);
        audit_ = hak::Audit<W>(
            {scratch_.data(), scratch_.size(), read_zero, in_flight, in_flight_count, true});
        const hak::Violation v = scope == Scope::pool ? audit_.pool_alone() : audit_.everything();
        require(!v, "INV ", v.invariant == nullptr ? "" : v.invariant, ": ", v.what, " (where ",
                v.where, ", have ", v.have, ", want ", v.want, ")");
    }
    const hak::Audit<W>& audit() const { return audit_; }

  private:
    std::vector<std::uint32_t> scratch_;
    hak::Audit<W> audit_{{}};
};

}  // namespace kit
