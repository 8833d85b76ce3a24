// foreign_test.cpp: where a block of another thread's slab goes when it is freed: into the freeing
// thread's list while that has room, home otherwise, and home at once if it is smaller than a cache
// line.
#include <cstdio>
#include <initializer_list>
#include <vector>

#include "props/kit/worlds.hpp"
#include "tests/unit/examples.hpp"

namespace {

using W = kit::TinyWorld;
using kit::require;

void* take(unsigned thread, std::size_t bytes) {
    kit::threads.current = thread;
    void* const p = hak::allocate<W>(kit::heap_of<W>(thread), bytes);
    require(p != nullptr, "no memory");
    return p;
}
void give(unsigned thread, void* p) {
    kit::threads.current = thread;
    hak::deallocate<W>(kit::heap_of<W>(thread), p);
}
std::uint64_t posted_blocks() {
    kit::Auditor<W> auditor;
    auditor.check(kit::Auditor<W>::Scope::everything, true);
    return auditor.audit().totals().remote_blocks;
}

void kept_or_posted(std::size_t bytes, bool kept) {
    kit::reset_world<W>();
    const unsigned room = hak::Classes<W>::kShapes[hak::Classes<W>::class_of(bytes)].bin_blocks;
    std::vector<void*> blocks;
    for (unsigned n = 0; n < room + 2; ++n) blocks.push_back(take(0, bytes));

    // A thread without a heap has no list.
    give(1, blocks.back());
    require(posted_blocks() == 1, "a thread without a heap posted ", posted_blocks(),
            " of 1 block of ", bytes, " bytes");
    blocks.pop_back();

    take(1, bytes == 16 ? 32 : 16);  // of another class, so that the list of this one stays empty
    for (unsigned n = 0; n < room; ++n) give(1, blocks[n]);
    require(posted_blocks() == (kept ? 1 : 1 + room), posted_blocks(), " posted blocks of ", bytes,
            " bytes");
    if (!kept) return;
    give(1, blocks[room]);
    require(posted_blocks() == 2, "the list is full, and ", posted_blocks(),
            " blocks are posted, not 2");

    require(take(1, bytes) == blocks[room - 1], "the block freed last is not handed out first");
    give(1, blocks[room - 1]);
    const std::uint64_t before = posted_blocks();
    kit::threads.current = 1;
    hak::give_up<W>();
    require(posted_blocks() == before + room, "the end of the thread sent ",
            posted_blocks() - before, " of ", room, " blocks home");
    kit::threads.current = 0;
    hak::collect_pending(*kit::heap_of<W>(0));
    require(posted_blocks() == 0, "the owner left posted blocks");
}

template <std::size_t kBytes, bool kIsKept>
void blocks() {
    kept_or_posted(kBytes, kIsKept);
}

}  // namespace

int main(int, char** argv) {
    check_test examples[] = {
        {"blocks_of_16", &blocks<16, false>, nullptr, nullptr},
        {"blocks_of_48", &blocks<48, false>, nullptr, nullptr},
        {"blocks_of_64", &blocks<64, true>, nullptr, nullptr},
        {"blocks_of_128", &blocks<128, true>, nullptr, nullptr},
        {"blocks_of_256", &blocks<256, true>, nullptr, nullptr},
    };
    return unit::run(argv, examples);
}
