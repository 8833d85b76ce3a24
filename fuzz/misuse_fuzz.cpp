// misuse_fuzz.cpp: pointers that are no live block's start, given to free, realloc and
// malloc_usable_size in any state of the heap: each is reported by its name, and the history goes
// on as if nothing had been.
#include "fuzz/history.hpp"
#include "fuzz/subject.hpp"

namespace {

struct Wrong {
    kit::Thread t;
    kit::Mode o;
    kit::Handle h;
    KIT_COMMAND(Wrong, "misuse", 60, t, o, h)
    kit::Misuse meaning() const { return {t, o, h}; }
};

using Misuse = std::variant<kit::Malloc, kit::Aligned, kit::Realloc, kit::Free, kit::Sweep, Wrong,
                            kit::Post, kit::Exit, kit::Start, kit::Trim>;

}  // namespace

FUZZ_PART("misuse", Misuse, kit::Command, fuzz::run_heap)
