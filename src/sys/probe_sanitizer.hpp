// probe_sanitizer.hpp: the probe of builds under AddressSanitizer and MemorySanitizer. The first is
// told which bytes a client may touch, exactly: a use after free or one byte too far is its report.
// The second is told which bytes nobody has written yet. A free block's two words are the
// allocator's, whatever the sanitizer was told about them: its own accesses are not instrumented.
#pragma once

#include "sys/probe.hpp"

#if defined(__SANITIZE_ADDRESS__)
#    define HAK_ASAN 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define HAK_ASAN 1
#    elif __has_feature(memory_sanitizer)
#        define HAK_MSAN 1
#    endif
#endif

#if HAK_ASAN
#    include <sanitizer/asan_interface.h>
#    define HAK_UNSEEN __attribute__((noinline, no_sanitize("address")))
#elif HAK_MSAN
#    include <sanitizer/msan_interface.h>
#    define HAK_UNSEEN __attribute__((noinline, no_sanitize("memory")))
#endif

namespace hak {

#if HAK_ASAN || HAK_MSAN

struct SanitizerProbe : NoProbe {
    // As Sync::Plain of the same word, which T is: its accesses would be instrumented.
    template <class T>
    class Word {
        using Value = decltype(T().get());

      public:
        HAK_UNSEEN Word() { value_ = Value(); }
        HAK_UNSEEN Value get() const { return value_; }
        HAK_UNSEEN void set(Value value) { value_ = value; }

      private:
        Value value_;
    };

#    if HAK_ASAN
    static void on_hand_out(void* p, std::size_t requested, std::size_t usable) {
        on_resize(p, requested, usable);
    }
    static void on_resize(void* p, std::size_t requested, std::size_t usable) {
        __asan_unpoison_memory_region(p, requested);
        close(static_cast<char*>(p) + requested, usable - requested);
    }
    static void on_move(void* p, std::size_t usable) { __asan_unpoison_memory_region(p, usable); }
    static void on_retire(void* p, std::size_t usable) { close(p, usable); }
    static void on_map(void* p, std::size_t bytes) { close(p, bytes); }

  private:
    // The shadow of a range is an eighth of it, and resident: of a huge range the beginning must
    // do.
    static void close(void* p, std::size_t bytes) {
        constexpr std::size_t kMax = std::size_t{64} << 20;
        __asan_poison_memory_region(p, bytes < kMax ? bytes : kMax);
    }
#    else
    static void on_hand_out(void* p, std::size_t /*requested*/, std::size_t usable) {
        __msan_allocated_memory(p, usable);
    }
    static void on_zero(void* p, std::size_t bytes) { __msan_unpoison(p, bytes); }
    static void on_retire(void* p, std::size_t usable) { __msan_poison(p, usable); }
#    endif
};
using DefaultProbe = SanitizerProbe;

#else
using DefaultProbe = NoProbe;
#endif

}  // namespace hak
