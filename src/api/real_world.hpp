// real_world.hpp: the world that ships, and what it needs of the process: the thread's heap word,
// the exit hook, the last line before abort. The only thread_locals of the library.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <pthread.h>

#include "base/attrs.hpp"
#include "base/check.hpp"
#include "base/config.hpp"

#include "sys/errno_keeper.hpp"
#include "sys/pal_linux.hpp"
#include "sys/sync.hpp"
#include "sys/text.hpp"

#include "heap/heap.hpp"
#include "heap/lifecycle.hpp"
#include "heap/resize.hpp"  // IWYU pragma: keep

#include "api/fork_handlers.hpp"
#include "options/options.hpp"
#if HAKMEM_WITH_EVOLUTION || HAKMEM_WITH_ELO
#    include "learning/learning.hpp"
#endif
#if !HAKMEM_DEBUG
#    include "profile/profiler.hpp"
#endif
#include "sys/pal_linux_statm.hpp"  // IWYU pragma: keep
#include "sys/probe_sanitizer.hpp"
#if HAKMEM_DEBUG
#    include "checked/block_table.hpp"
#    define HAKMEM_PROBE ::hak::DebugProbe<RealWorld>
#endif

#if HAKMEM_DEBUG_TIMING
#    if HAKMEM_DEBUG
#        error "HAKMEM_DEBUG and HAKMEM_DEBUG_TIMING exclude each other"
#    endif
#    include "timing/timing.hpp"
#    define HAKMEM_PROBE ::hak::TimingProbe
#    define HAKMEM_PAL ::hak::TimedPal<::hak::LinuxPal>
#endif

#ifndef HAKMEM_PROBE
#    define HAKMEM_PROBE ::hak::DefaultProbe
#endif
#ifndef HAKMEM_PAL
#    define HAKMEM_PAL ::hak::LinuxPal
#endif
#ifndef HAKMEM_SYNC
#    define HAKMEM_SYNC ::hak::StdSync
#endif

namespace hak {

inline void start_timing() {
#if HAKMEM_DEBUG_TIMING
    if (options.timing) Timings::start();
#endif
}

struct RealWorld {
    using Sync = HAKMEM_SYNC;
    using Pal = HAKMEM_PAL;
    using Probe = HAKMEM_PROBE;
    static constexpr Config kConfig{};

    static void* current_heap();
    static void* hit_heap();
    static void set_current_heap(void* heap);
    static bool arm_exit_hook(void* heap);
#if HAKMEM_WITH_EVOLUTION || HAKMEM_WITH_ELO
    using Learning = LearningObserver<RealWorld>;
#else
    using Learning = NoHooks;
#endif
#if HAKMEM_DEBUG
    using Hooks = Learning;
#else
    using Hooks = ProfilingObserver<RealWorld, Learning>;

    // For the profiler (profile.hpp).
    static bool is_masked();
    static void unmask();
    static void mask();
    static void begin_masking();
#endif
    static Tunables read_tunables() {
        read_options();
        start_timing();
#if HAKMEM_WITH_EVOLUTION || HAKMEM_WITH_ELO
        start_learning<RealWorld>();
#endif
#if !HAKMEM_DEBUG
        start_profile<RealWorld>();
#endif
        return options.tunables;
    }
    [[noreturn]] static void fault(Fault fault, Entry entry, const void* p) noexcept;

    // Around the heap's fork handlers; the front end may have a lock too (front_end.hpp).
    static void before_fork();
    static void after_fork(bool is_child);
};

using RealHeap = Heap<RealWorld>;

// It starts at a heap whose lists are empty, so that no hit asks whether the thread was
// initialised.
inline constinit thread_local RealHeap* tls_heap [[gnu::tls_model("initial-exec")]] =
    &empty_heap<RealWorld>;

HAK_INLINE void* RealWorld::hit_heap() {
    return tls_heap;
}
#if HAKMEM_DEBUG
inline void* RealWorld::current_heap() {
    return tls_heap;
}
inline void RealWorld::set_current_heap(void* heap) {
    tls_heap = static_cast<RealHeap*>(heap);
}
#else
// While there is a profile, and no call of it runs in this thread: the thread's heap, and tls_heap
// stands at the empty heap; else null. It is not null in a thread that begins.
inline constinit thread_local RealHeap* tls_masked_heap [[gnu::tls_model("initial-exec")]] =
    &empty_heap<RealWorld>;
// Written once, when the process has one thread.
inline constinit bool masks_heaps = false;

inline bool RealWorld::is_masked() {
    return masks_heaps && tls_masked_heap != nullptr;
}
inline void RealWorld::unmask() {
    tls_heap = tls_masked_heap;
    tls_masked_heap = nullptr;
}
inline void RealWorld::mask() {
    tls_masked_heap = tls_heap;
    tls_heap = &empty_heap<RealWorld>;
}
inline void RealWorld::begin_masking() {
    masks_heaps = true;
    mask();
}
inline void* RealWorld::current_heap() {
    return is_masked() ? tls_masked_heap : tls_heap;
}
inline void RealWorld::set_current_heap(void* heap) {
    (is_masked() ? tls_masked_heap : tls_heap) = static_cast<RealHeap*>(heap);
}
#endif

// The key's destructor runs when a thread ends, after the destructors of its thread_locals. Other
// keys' destructors may run later and allocate: the thread then borrows heaps.
class ExitHook {
  public:
    static bool arm(void* heap) {
        const ErrnoKeeper keep;
        install();
        return has_key_ && ::pthread_setspecific(key_, heap) == 0;
    }

    // Makes the key and registers the fork handlers, once: in the library's constructor, or in the
    // first call that needs a heap if that comes earlier. Constructors of other libraries often run
    // before ours. They allocate, and their thread must get a heap that it keeps; and they register
    // fork handlers, which may wait for a thread that allocates. Handlers that were registered
    // first are the last to prepare, so ours take the locks after those have waited. No two threads
    // meet here: starting a thread allocates, so the first heap is the starting thread's.
    static void install() {
        if (is_installed_) return;
        is_installed_ = true;
        has_key_ = ::pthread_key_create(&key_, [](void*) { give_up<RealWorld>(); }) == 0;
        ::pthread_atfork(ForkHandlers<RealWorld>::prepare, ForkHandlers<RealWorld>::parent,
                         ForkHandlers<RealWorld>::child);
    }

  private:
    static inline constinit pthread_key_t key_{};
    static inline constinit bool has_key_ = false;
    static inline constinit bool is_installed_ = false;
};

inline bool RealWorld::arm_exit_hook(void* heap) {
    return ExitHook::arm(heap);
}

inline const char* name_of(Entry entry) {
    switch (entry) {
        case Entry::allocate:
            return "malloc";
        case Entry::free:
            return "free";
        case Entry::realloc:
            return "realloc";
        case Entry::usable_size:
            return "malloc_usable_size";
    }
    return "hakmem";
}

[[noreturn]] HAK_COLD inline void RealWorld::fault(Fault fault, Entry entry,
                                                   const void* p) noexcept {
    Text text;
    text << "hakmem: " << name_of(entry) << "(" << p << "): " << text_of(fault) << "\n";
    text.print();
    // The fault may lie in the middle of a slow path, whose heap is held. A handler of SIGABRT that
    // allocates borrows another.
    set_current_heap(&exited_heap<RealWorld>);
    std::abort();
}

[[noreturn]] HAK_COLD inline void assertion_failed(const char* condition, const char* file,
                                                   int line) {
    Text text;
    text << "hakmem: assertion failed: " << condition << " at " << file << ":"
         << static_cast<std::uint64_t>(line) << "\n";
    text.print();
    std::abort();
}

}  // namespace hak
