// batch_test.cpp: the threshold and the purge batch: what stays, what goes, and when.
#include <cstdio>
#include <cstring>

#include "props/kit/worlds.hpp"
#include "tests/unit/examples.hpp"

namespace {

using W = kit::TinyWorld;
using kit::require;

constexpr std::size_t kSlot = kit::kTinyConfig.superslab_bytes();

void* take(std::size_t bytes) {
    void* const p = hak::allocate<W>(kit::heap_of<W>(0), bytes);
    require(p != nullptr, "no memory");
    std::memset(p, 0x5a, bytes);
    return p;
}
void give(void* p) {
    hak::deallocate<W>(kit::heap_of<W>(0), p);
}
std::uint64_t purges() {
    return hak::pool<W>.counters().purges;
}

// A process in which blocks of `threshold` bytes go to the batch, which is purged above `batch`
// bytes.
void begin(std::size_t threshold, std::size_t batch) {
    kit::reset_world<W>();
    kit::threads.current = 0;
    give(take(100));
    auto tunables = hak::tunables<W>.get();
    tunables.cache_bytes_max = SIZE_MAX;
    tunables.batch_threshold = threshold;
    tunables.batch_bytes_max = batch;
    hak::tunables<W>.set(tunables);
}

// What is smaller than the threshold stays until it decays, whatever the batch may hold.
void below_the_threshold() {
    begin(2 * kSlot, kSlot);
    void* blocks[6];
    for (void*& p : blocks) p = take(kSlot - 512);
    for (void* p : blocks) give(p);
    require(purges() == 0 && hak::pool<W>.batch_slots() == 0,
            "a block below the threshold was purged before its time");
    kit::os.advance(150);
    hak::reclaim<W>.tick();
    require(purges() != 0, "nothing decayed");
}

// What is at least as large as the threshold stays while the batch has room, and can be taken
// again; then the batch goes as a whole.
void the_batch() {
    begin(2 * kSlot, 7 * kSlot);
    void* blocks[4];
    for (void*& p : blocks) p = take(2 * kSlot - 512);
    for (unsigned i = 0; i < 3; ++i) give(blocks[i]);
    require(purges() == 0 && hak::pool<W>.batch_slots() == 6, "the batch holds ",
            hak::pool<W>.batch_slots(), " slots, not 6, or was purged too early");
    const std::uint64_t calls = kit::os.calls();
    for (unsigned i = 0; i < 3; ++i) blocks[i] = take(2 * kSlot - 512);
    require(kit::os.calls() == calls && hak::pool<W>.batch_slots() == 0,
            "what was taken out of the batch cost a system call");
    for (void* p : blocks) give(p);
    require(
        purges() != 0 && hak::pool<W>.batch_slots() == 0 && hak::pool<W>.cached_dirty_slots() == 0,
        "the batch has outgrown its limit and was not purged");
    for (void*& p : blocks) {
        p = hak::allocate_zeroed<W>(kit::heap_of<W>(0), 2 * kSlot - 512);
        require(p != nullptr && static_cast<const char*>(p)[kSlot] == 0,
                "what the batch gave back is not zero");
    }
}

// What is clean and lies beside a freed block joins its run, and does not count: a large block that
// was freed once would else make each free beside it a purge.
void clean_neighbours_do_not_count() {
    begin(2 * kSlot, 7 * kSlot);
    give(take(16 * kSlot - 512));
    const auto before = purges();
    require(before != 0 && hak::pool<W>.batch_slots() == 0,
            "the batch has outgrown its limit and was not purged");
    // Of two lengths in turn, so that each is joined with what lies beside it, and not taken as it
    // was left.
    for (unsigned round = 0; round < 9; ++round) {
        for (const std::size_t slots : {3, 2}) give(take(slots * kSlot - 512));
        require(purges() == before && hak::pool<W>.batch_slots() == 3 &&
                    hak::pool<W>.free_dirty_bytes() == 3 * kSlot,
                "round ", round, ": beside what is clean blocks in 3 slots count as ",
                hak::pool<W>.batch_slots(), " in the batch, or were purged");
    }
    // Taken from the same run, what nobody had since is still known to be zero.
    void* const dirty = take(3 * kSlot - 512);
    const std::uint64_t calls = kit::os.calls();
    const auto fresh = hak::allocate_big<W>(3 * kSlot, hak::kMinAlignment);
    require(fresh.block != nullptr && fresh.zero && kit::os.calls() == calls,
            "the rest of a run is not known to be clean, or not used");
    give(dirty);
    give(fresh.block);
}

// The batch waits no longer than anything else.
void the_batch_decays() {
    begin(kSlot / 2, 8 * kSlot);
    void* const large = take(kSlot / 2 - 256);
    void* const neighbour = take(600);
    give(large);
    require(hak::pool<W>.batch_slots() == 1 && purges() == 0,
            "a Large block at the threshold did not go to the batch");
    kit::os.advance(150);
    hak::reclaim<W>.tick();
    require(purges() != 0 && hak::pool<W>.batch_slots() <= 1, "the batch outlasts the delay");
    give(neighbour);
}

void all_free_dirty_bytes_count() {
    begin(kSlot / 2, 8 * kSlot);
    hak::trim<W>(false);
    void* const block = take(kSlot - 512);
    void* const large = take(kSlot / 2 - 256);
    require(hak::pool<W>.free_dirty_bytes() == 0, "free dirty bytes before anything is free");
    give(block);
    require(hak::pool<W>.free_dirty_bytes() == kSlot,
            "free dirty bytes after a Big block was freed");
    give(large);
    require(hak::pool<W>.free_dirty_bytes() >= kSlot + kSlot / 2,
            "free dirty bytes after a Large block was freed");
    hak::trim<W>(false);
    require(hak::pool<W>.free_dirty_bytes() == 0, "free dirty bytes after a trim");
}

}  // namespace

int main(int, char** argv) {
    check_test examples[] = {
        CHECK_TEST(below_the_threshold),           CHECK_TEST(the_batch),
        CHECK_TEST(clean_neighbours_do_not_count), CHECK_TEST(the_batch_decays),
        CHECK_TEST(all_free_dirty_bytes_count),
    };
    return unit::run(argv, examples);
}
