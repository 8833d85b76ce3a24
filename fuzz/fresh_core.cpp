// fresh_core.cpp: hakmem_core_audited in a world that can be reset. It keeps its first reservation
// for ever, no entropy, and a clock that goes on by a millisecond whenever it is read.
#include "fuzz/fresh_core.hpp"

#include <atomic>

#include "props/kit/broken.hpp"
#include "props/kit/lock_ranks.hpp"

namespace fuzz {

struct FreshPal : kit::RankPal {
    static void* reserve(std::size_t n, std::size_t alignment) {
        if (memory_ == nullptr) memory_ = RankPal::reserve(bytes_ = n, alignment);
        return n == bytes_ ? memory_ : nullptr;
    }
    // No less of it is mapped than before, so that nothing else can move in.
    static bool renew() {
        clock_.store(0, std::memory_order_relaxed);  // the same
        return memory_ == nullptr || RankPal::decommit(memory_, bytes_);
    }
    // relaxed: a number, which orders nothing
    static std::uint64_t now_ms() { return clock_.fetch_add(1, std::memory_order_relaxed); }
    static std::uint64_t entropy() { return 0x9e3779b97f4a7c15u; }

  private:
    static inline std::atomic<std::uint64_t> clock_{0};
    static inline void* memory_ = nullptr;
    static inline std::size_t bytes_ = 0;
};

}  // namespace fuzz

#undef HAKMEM_PAL
#define HAKMEM_PAL ::fuzz::FreshPal
#include "props/kit/audit_real.cpp"
#include "props/kit/lock_ranks.cpp"

namespace {

template <class T>
void renew(T& object) {
    object.~T();
    ::new (static_cast<void*>(&object)) T{};
}

}  // namespace

void fuzz::reset_core() {
    using W = hak::RealWorld;
    kit::require(FreshPal::renew(), "the reservation cannot be renewed");
    renew(hak::window<W>);
    renew(hak::pool<W>);
    renew(hak::reclaim<W>);
    renew(hak::heaps<W>);
    renew(hak::empty_heap<W>);
    renew(hak::exited_heap<W>);
    renew(hak::start_lock<W>);
    renew(hak::learner<W>);
    // On every machine and under every sanitizer the same window.
    hak::options = {};
    hak::options.were_read = true;
    hak::options.tunables.window_bytes = std::size_t{16} << 30;
    W::set_current_heap(&hak::empty_heap<W>);
}
