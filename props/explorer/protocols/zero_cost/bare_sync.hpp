// bare_sync.hpp: the Sync policy with nothing of our own in it: std::atomic itself and words in a
// struct, under the names that the source calls. The test beside it compiles the whole library with
// this policy and with StdSync and compares the instructions.
#pragma once

#include <atomic>
#include <sys/single_threaded.h>

namespace bare {

struct Sync {
    template <class T>
    struct Atomic : std::atomic<T> {
        using std::atomic<T>::atomic;

        bool cas_weak(T& expected, T desired, std::memory_order success,
                      std::memory_order failure) {
            return this->compare_exchange_weak(expected, desired, success, failure);
        }
        bool cas_strong(T& expected, T desired, std::memory_order success,
                        std::memory_order failure) {
            return this->compare_exchange_strong(expected, desired, success, failure);
        }
    };

    template <class T>
    struct Plain {
        T value{};

        constexpr Plain() = default;
        explicit constexpr Plain(T v) : value(v) {}
        T get() const { return value; }
        void set(T v) {
#ifdef BARE_SYNC_COSTS
            value = v;  // the control: one store more
            asm volatile("" : : : "memory");
#endif
            value = v;
        }
    };

    struct Loop {
        void retry() {}
        void wait() { pause(); }
    };
    static void pause() {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        asm volatile("yield");
#endif
    }
    static constexpr int kSpins = 64;
    template <class Heuristic>
    static constexpr bool choose(Heuristic, bool usual) {
        return usual;
    }
    static bool is_alone() { return __libc_single_threaded != 0; }
};

}  // namespace bare
