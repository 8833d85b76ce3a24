// remote_free_fuzz.cpp: blocks that other threads free, in halves: posted, pushed, collected,
// adopted, and cut by forks.
#include "fuzz/history.hpp"
#include "fuzz/subject.hpp"

namespace {

using RemoteFree =
    std::variant<kit::Malloc, kit::Fill, kit::Free, kit::Sweep, kit::Post, kit::Push, kit::Collect,
                 kit::Exit, kit::Start, kit::Fork, kit::Trim, kit::Hook>;

}  // namespace

FUZZ_PART("remote_free", RemoteFree, kit::Command, fuzz::run_heap)
