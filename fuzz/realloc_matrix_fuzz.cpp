// realloc_matrix_fuzz.cpp: realloc from any size, alignment, tier and neighbourhood to any other,
// with calls that fail.
#include "fuzz/history.hpp"
#include "fuzz/subject.hpp"

namespace {

struct Resize {
    kit::Thread t;
    kit::Handle h;
    kit::Bytes n;
    KIT_COMMAND(Resize, "realloc", 90, t, h, n)
    kit::Realloc meaning() const { return {t, h, n}; }
};

using ReallocMatrix = std::variant<kit::Malloc, kit::Calloc, kit::Aligned, Resize, kit::Free,
                                   kit::Usable, kit::Advance, kit::FailNext, kit::Heal>;

}  // namespace

FUZZ_PART("realloc_matrix", ReallocMatrix, kit::Command, fuzz::run_heap)
