// thread_cache_fuzz.cpp: what fills, empties and flushes a thread's lists: little else may hide how
// they are linked.
#include "fuzz/history.hpp"
#include "fuzz/subject.hpp"

namespace {

// Blocks of the classes that share a few slabs.
struct SmallBytes : kit::Field<'n', 257, 1> {
    static std::uint32_t of_code(std::uint32_t code) {
        return code % 4 == 3 ? code + 1 : code % 64;
    }
    static std::uint32_t code(std::uint32_t n) { return n < 64 ? n - (n % 4 == 3) : (n - 1) | 3; }
};
struct Take {
    kit::Thread t;
    kit::Handle h;
    SmallBytes n;
    KIT_COMMAND(Take, "malloc", 80, t, h, n)
    kit::Malloc meaning() const { return {t, h, {n.v}}; }
};
struct TakeMany {
    kit::Thread t;
    kit::Handle h;
    kit::Count x;
    SmallBytes n;
    KIT_COMMAND(TakeMany, "fill", 16, t, h, x, n)
    kit::Fill meaning() const { return {t, h, x, {n.v}}; }
};

using ThreadCache = std::variant<Take, TakeMany, kit::Free, kit::Sweep, kit::Trim, kit::Advance,
                                 kit::Exit, kit::Start>;

}  // namespace

FUZZ_PART("thread_cache", ThreadCache, kit::Command, fuzz::run_heap)
