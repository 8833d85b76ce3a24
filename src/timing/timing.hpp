// timing.hpp: the probe of the build option HAKMEM_DEBUG_TIMING: how often each part of the
// allocator is entered and how long it takes, and how every allocation and every free was served.
// Nothing of it is in the library that ships.
//
// EQ timing.1  requests == popped + untouched + refilled + above_small + refused
// EQ timing.2  frees == pushed + to_slab + kept + posted + above_small_freed + null_freed
// Both while no thread is in a call, and without a heap profile, which serves calls by itself.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/attrs.hpp"
#include "base/bits.hpp"
#include "base/types.hpp"

#include "sys/probe.hpp"
#include "sys/probe_sanitizer.hpp"
#include "sys/sync.hpp"

namespace hak {

inline constexpr const char* kActivityNames[] = {
    "hak_alloc",    "hak_free",    "realloc",       "refill",     "refill_own", "refill_others",
    "refill_open",  "spill",       "remote_drain",  "big_cache",  "reclaim",    "elo",
    "tick",         "sys_reserve", "sys_unreserve", "sys_expose", "sys_commit", "sys_trial",
    "sys_decommit", "sys_purge",   "sys_advise",    "sys_rusage", "sys_wait",   "sys_wake"};
inline constexpr unsigned kActivities = static_cast<unsigned>(Activity::wake) + 1;
static_assert(sizeof kActivityNames / sizeof *kActivityNames == kActivities);

inline constexpr const char* kEventNames[] = {
    "requests", "popped",  "untouched", "refilled", "above_small",       "refused",   "frees",
    "pushed",   "to_slab", "kept",      "posted",   "above_small_freed", "null_freed"};
inline constexpr unsigned kEvents = static_cast<unsigned>(Event::null_freed) + 1;
static_assert(sizeof kEventNames / sizeof *kEventNames == kEvents);

// Sums of many threads. A thread adds to one of several shards, so that few meet in a cache line.
class Timings {
  public:
    struct Sums {
        std::uint64_t calls[kActivities] = {}, cycles[kActivities] = {}, self[kActivities] = {},
                      events[kEvents] = {};
    };

    // Whether cycles are counted; calls and events always are. Set once, when the options are read.
    static void start() { is_on_.store(true, order::relaxed); }
    // relaxed: a thread that sees it late times a little less
    static bool is_on() { return is_on_.load(order::relaxed); }

    static void add_call(Activity a) { add(shard().calls[static_cast<unsigned>(a)], 1); }
    static void add_cycles(Activity a, std::uint64_t total, std::uint64_t self) {
        add(shard().cycles[static_cast<unsigned>(a)], total);
        add(shard().self[static_cast<unsigned>(a)], self);
    }
    static void add_event(Event e) { add(shard().events[static_cast<unsigned>(e)], 1); }

    static Sums sums() {
        Sums s;
        for (const Shard& shard : shards_) {
            for (unsigned a = 0; a < kActivities; ++a) {
                // relaxed, all of these: each is a sum of its own
                s.calls[a] += shard.calls[a].load(order::relaxed);
                s.cycles[a] += shard.cycles[a].load(order::relaxed);
                s.self[a] += shard.self[a].load(order::relaxed);
            }
            for (unsigned e = 0; e < kEvents; ++e)
                s.events[e] += shard.events[e].load(order::relaxed);
        }
        return s;
    }

  private:
    using Count = StdSync::Atomic<std::uint64_t>;
    struct alignas(2 * kCacheLine) Shard {
        Count calls[kActivities], cycles[kActivities], self[kActivities], events[kEvents];
    };
    static constexpr unsigned kShards = 64;

    // relaxed: as in sums()
    static void add(Count& count, std::uint64_t by) { count.fetch_add(by, order::relaxed); }
    static Shard& shard() {
        // Thread pointers lie at least a page apart.
        return shards_[wrapping_mul(address_of(__builtin_thread_pointer()) >> 12,
                                    Address{0x9e3779b97f4a7c15u}) >>
                       58];
    }

    static inline constinit Shard shards_[kShards]{};
    static inline constinit StdSync::Atomic<bool> is_on_{};
};

inline std::uint64_t cycles_now() {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    std::uint64_t ticks;
    asm volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
#    error "no cycle counter is known for this processor"
#endif
}

struct TimingProbe : DefaultProbe {
    // One in another: what the inner one takes is not the outer one's own.
    class Span {
      public:
        explicit Span(Activity activity) : activity_(activity) {
            Timings::add_call(activity);
            if (!Timings::is_on()) return;
            // What lies below this frame was left by a longjmp.
            outer_ = address_of(innermost) > address_of(this) ? innermost : nullptr;
            innermost = this;
            is_timed_ = true;
            begin_ = cycles_now();
        }
        ~Span() {
            if (!is_timed_) return;
            const std::uint64_t total = cycles_now() - begin_;
            innermost = outer_;
            if (outer_ != nullptr) outer_->inner_ += total;
            Timings::add_cycles(activity_, total, total < inner_ ? 0 : total - inner_);
        }
        Span(const Span&) = delete;
        Span& operator=(const Span&) = delete;

      private:
        static inline constinit thread_local Span* innermost [[gnu::tls_model("initial-exec")]] =
            nullptr;
        Activity activity_;
        bool is_timed_ = false;
        std::uint64_t begin_ = 0, inner_ = 0;
        Span* outer_ = nullptr;
    };
    template <Activity kActivity>
    struct Timed : Span {
        Timed() : Span(kActivity) {}
    };
    static void on_event(Event e) { Timings::add_event(e); }
};

// The system, timed.
template <class Pal>
struct TimedPal : Pal {
    template <Activity kActivity>
    using Timed = TimingProbe::Timed<kActivity>;

    static void* reserve(std::size_t n, std::size_t alignment) {
        const Timed<Activity::reserve> timed;
        return Pal::reserve(n, alignment);
    }
    static void unreserve(void* p, std::size_t n) {
        const Timed<Activity::unreserve> timed;
        Pal::unreserve(p, n);
    }
    static bool expose(void* p, std::size_t n) {
        const Timed<Activity::expose> timed;
        return Pal::expose(p, n);
    }
    static bool commit(void* p, std::size_t n) {
        const Timed<Activity::commit> timed;
        return Pal::commit(p, n);
    }
    static bool could_commit(std::size_t n) {
        const Timed<Activity::trial> timed;
        return Pal::could_commit(n);
    }
    static bool decommit(void* p, std::size_t n) {
        const Timed<Activity::decommit> timed;
        return Pal::decommit(p, n);
    }
    static bool purge(void* p, std::size_t n) {
        const Timed<Activity::purge> timed;
        return Pal::purge(p, n);
    }
    static void advise_huge(void* p, std::size_t n) {
        const Timed<Activity::advise> timed;
        Pal::advise_huge(p, n);
    }
    static void advise_no_huge(void* p, std::size_t n) {
        const Timed<Activity::advise> timed;
        Pal::advise_no_huge(p, n);
    }
    static void advise_dump(void* p, std::size_t n) {
        const Timed<Activity::advise> timed;
        Pal::advise_dump(p, n);
    }
    static void advise_no_dump(void* p, std::size_t n) {
        const Timed<Activity::advise> timed;
        Pal::advise_no_dump(p, n);
    }
    static std::uint64_t page_faults() {
        const Timed<Activity::usage> timed;
        return Pal::page_faults();
    }
    static void sleep_while(std::uint32_t* word, std::uint32_t value) {
        const Timed<Activity::wait> timed;
        Pal::sleep_while(word, value);
    }
    static void wake_one(std::uint32_t* word) {
        const Timed<Activity::wake> timed;
        Pal::wake_one(word);
    }
};

}  // namespace hak
