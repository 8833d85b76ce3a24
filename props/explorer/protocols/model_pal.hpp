// model_pal.hpp: the operating system that an explored process has: address space from the
// explorer's arena, a futex that counts whom it wakes, and a clock that stands still or jumps as
// the explorer chooses.
#pragma once

#include <cstdint>

#include "heap/lifecycle.hpp"

#include "props/explorer/explore.hpp"

namespace protocols {

// What the kernel keeps for one process. Watched by the explorer: each execution begins with it as
// the set-up left it.
struct Kernel {
    template <class T>
    using Atomic = explorer::Sync::Atomic<T>;
    template <class T>
    using Plain = explorer::Sync::Plain<T>;

    // A lock inside the kernel. It gives up happens-before edges between system calls that take it,
    // as Linux's mmap_lock does.
    struct Mutex {
        Atomic<std::uint32_t> held;

        void lock() {
            std::uint32_t free = 0;
            for (explorer::Sync::Loop loop;
                 !held.cas_strong(free, 1, hak::order::acquire, hak::order::relaxed); loop.wait())
                free = 0;
        }
        void unlock() { held.store(0, hak::order::release); }
    };

    // Sleepers on one word. A wake-up lets exactly one of them go, and is lost if nobody sleeps. It
    // may let one go who fell asleep after it was sent: less than a kernel promises.
    struct Futex {
        Mutex mutex;
        Plain<std::uint32_t> sleepers;
        Atomic<std::uint32_t> woken;
    };
    static constexpr unsigned kThreads = 8, kHeaps = 4, kFutexes = 5 + kHeaps;

    Mutex address_space;
    Futex futexes[kFutexes];
    Plain<void*> heap_words[kThreads];  // each thread's own
    Plain<bool> can_hook[kThreads];     // whether arm_exit_hook works
    // every look at the clock may find that a long time has passed
    Plain<bool> clock_jumps;
    // of a fork: it has one thread, so that its own policy changes nothing between threads
    Plain<bool> is_child;

    // fork copies the process under the address space's lock, and the copy has neither sleepers nor
    // anybody in the kernel.
    void begin_copy() { address_space.lock(); }
    void end_copy() { address_space.unlock(); }
    void forget_others() {
        is_child.set(true);
        address_space.unlock();
        for (Futex& f : futexes) {
            f.mutex.unlock();
            f.sleepers.set(0);
            f.woken.store(0, hak::order::relaxed);
        }
    }
};
inline Kernel kernel;
inline constexpr std::size_t kPage = explorer::kGrain;

template <class W>
struct ModelPal {
    using Loop = explorer::Sync::Loop;
    static constexpr std::uint64_t kLongTime = 10'000;

    static std::size_t page_bytes() { return kPage; }
    static std::size_t ram_bytes() { return 0; }
    static std::size_t address_space_left() { return SIZE_MAX; }
    static void* reserve(std::size_t bytes, std::size_t alignment) {
        return explorer::reserve(bytes, alignment);
    }
    static void unreserve(void*, std::size_t) {}
    static bool could_commit(std::size_t) { return true; }
    static bool expose(void* p, std::size_t bytes) { return commit(p, bytes); }
    static bool commit(void* p, std::size_t bytes) {
        const InKernel guard;
        auto* const begin = static_cast<unsigned char*>(p);
        for (std::size_t at = 0, end = 0; at < bytes; at = end) {
            const bool is_mapped = explorer::is_mapped(begin + at);
            for (end = at; end < bytes && explorer::is_mapped(begin + end) == is_mapped;)
                end += kPage;
            if (!is_mapped) explorer::map(begin + at, end - at);
        }
        return true;
    }
    static bool decommit(void* p, std::size_t bytes) {
        const InKernel guard;
        explorer::unmap(p, bytes);
        return true;
    }
    static bool purge(void* p, std::size_t bytes) {
        const InKernel guard;
        explorer::clear(p, bytes);
        return true;
    }
    static void advise_huge(void*, std::size_t) {}
    static void advise_no_huge(void*, std::size_t) {}
    static void advise_dump(void*, std::size_t) {}
    static void advise_no_dump(void*, std::size_t) {}
    static void yield() {}
    static std::uint64_t now_ms() {
        return kernel.clock_jumps.get() ? 1000 + explorer::choose(2) * kLongTime : 1000;
    }
    static std::uint64_t entropy() { return 0x9e3779b97f4a7c15u; }
    static std::uintptr_t thread_id() { return explorer::self() + 1; }

    static void sleep_while(std::uint32_t* word, std::uint32_t value) {
        Kernel::Futex& f = futex_of(word);
        f.mutex.lock();
        const bool sleeps = reinterpret_cast<Kernel::Atomic<std::uint32_t>*>(word)->load(
                                hak::order::relaxed) == value;
        if (sleeps) f.sleepers.set(f.sleepers.get() + 1);
        f.mutex.unlock();
        if (!sleeps) return;
        for (Loop loop;; loop.wait()) {
            std::uint32_t seen = f.woken.load(hak::order::relaxed);
            if (seen != 0 &&
                f.woken.cas_strong(seen, seen - 1, hak::order::acquire, hak::order::relaxed))
                return;
        }
    }
    static void wake_one(std::uint32_t* word) {
        Kernel::Futex& f = futex_of(word);
        f.mutex.lock();
        if (f.sleepers.get() != 0) {
            f.sleepers.set(f.sleepers.get() - 1);
            f.woken.fetch_add(1, hak::order::release);
        }
        f.mutex.unlock();
    }

  private:
    // A word that is no lock's is the registry's count of visitors, or a heap's token.
    static Kernel::Futex& futex_of(const void* word) {
        const void* const locks[] = {&hak::start_lock<W>, &hak::heaps<W>.lock(),
                                     &hak::reclaim<W>.lock(), &hak::pool<W>.lock()};
        unsigned i = 0;
        for (const void* lock : locks) {
            if (word == lock) return kernel.futexes[i];
            ++i;
        }
        if (hak::address_of(word) - hak::address_of(&hak::heaps<W>) < sizeof(hak::heaps<W>))
            return kernel.futexes[i];
        const std::size_t heap =
            (hak::address_of(word) - hak::address_of(hak::window<W>.heap_memory(0))) /
            hak::Window<W>::kHeapStride;
        if (heap >= Kernel::kHeaps)
            explorer::fail("a thread sleeps on a word that it should not know");
        return kernel.futexes[i + 1 + heap];
    }

    // Set-up and `finally` have one thread: no other is in the kernel.
    struct InKernel {
        InKernel() {
            if (explorer::is_exploring()) kernel.address_space.lock();
        }
        ~InKernel() {
            if (explorer::is_exploring()) kernel.address_space.unlock();
        }
    };
};

}  // namespace protocols
