// reclaim_test.cpp: what is free goes back to the system, as far as the system takes it.
#include <cstdio>
#include <cstring>

#include "props/kit/worlds.hpp"
#include "tests/unit/examples.hpp"

namespace {

using W = kit::TinyWorld;
using kit::require;

// The system keeps the commit charge of what is free: its pages go back all the same, of every
// range.
void decommit_failures() {
    constexpr std::size_t kBlocks = 12;
    kit::reset_world<W>();
    kit::threads.current = 0;
    void* blocks[kBlocks];
    for (void*& p : blocks) {
        p = hak::allocate<W>(kit::heap_of<W>(0), 8000);
        require(p != nullptr, "no memory");
        std::memset(p, 0x5a, 8000);
    }
    auto tunables = hak::tunables<W>.get();
    // nothing goes before it is asked for
    tunables.cache_bytes_max = tunables.batch_bytes_max = SIZE_MAX;
    hak::tunables<W>.set(tunables);
    // First every second block, then those in between, which join their neighbours.
    for (const std::size_t parity : {std::size_t{0}, std::size_t{1}}) {
        for (std::size_t i = parity; i < kBlocks; i += 2)
            hak::deallocate<W>(kit::heap_of<W>(0), blocks[i]);
        const std::uint64_t decommits = hak::pool<W>.counters().decommits;
        kit::os.fail(kit::Call::decommit, 1, true);
        hak::trim<W>(true);
        kit::os.heal();
        require(hak::pool<W>.counters().decommits == decommits,
                "a decommit that failed is counted");
        require(hak::pool<W>.cached_dirty_slots() == 0, hak::pool<W>.cached_dirty_slots(),
                " free slots keep their pages");
        for (std::size_t i = parity; i < kBlocks; i += 2) {
            const auto* const bytes = static_cast<const unsigned char*>(blocks[i]);
            require(kit::os.is_committed(bytes, 8000),
                    "a decommit that failed changed the mapping");
            for (std::size_t k = 0; k < 8000; ++k)
                require(bytes[k] == 0, "a page of a free block was kept");
        }
    }
    hak::trim<W>(true);
    require(hak::pool<W>.counters().committed_slots == 0,
            "memory stays committed after the system gave again");
}

// What is free stays resident for the delay, goes after it, and goes at once where more is free
// than the cache may hold.
void delays_hold() {
    constexpr std::uint64_t kDelay = 100;
    const auto purges = [] { return kit::os.count(kit::Call::purge); };
    const auto begin = [](std::size_t cache) {
        kit::reset_world<W>();
        kit::threads.current = 0;
        void* const p = hak::allocate<W>(kit::heap_of<W>(0), 8000);
        require(p != nullptr, "no memory");
        auto tunables = hak::tunables<W>.get();
        tunables.purge_delay_ms = kDelay;
        tunables.cache_bytes_max = cache;
        hak::tunables<W>.set(tunables);
        hak::deallocate<W>(kit::heap_of<W>(0), p);
    };
    begin(SIZE_MAX);
    kit::os.advance(kDelay - 1);
    hak::reclaim<W>.tick();
    require(purges() == 0, "free memory was purged before its delay");
    kit::os.advance(kDelay);
    hak::reclaim<W>.tick();
    require(purges() != 0, "free memory was not purged after its delay");
    begin(4096);
    require(purges() != 0, "more is free and dirty than the cache may hold");
}

// A block that comes and goes beside free memory keeps nothing of it resident: each free joins its
// neighbours, which have waited longer.
void neighbours_age() {
    constexpr std::uint64_t kDelay = 100;
    kit::reset_world<W>();
    kit::threads.current = 0;
    constexpr std::size_t kSlot = hak::Window<W>::kSuperSlabBytes;
    void* const many = hak::allocate<W>(kit::heap_of<W>(0), 6 * kSlot);
    require(many != nullptr, "no memory");
    auto tunables = hak::tunables<W>.get();
    tunables.purge_delay_ms = kDelay;
    tunables.cache_bytes_max = tunables.batch_threshold = SIZE_MAX;
    hak::tunables<W>.set(tunables);
    std::memset(many, 0x5a, 6 * kSlot);
    hak::deallocate<W>(kit::heap_of<W>(0), many);
    for (unsigned i = 0; i < 20; ++i) {
        kit::os.advance(kDelay / 5);
        void* const one = hak::allocate<W>(kit::heap_of<W>(0), kSlot);
        require(one != nullptr && hak::window<W>.slot_of(hak::address_of(one)) -
                                          hak::window<W>.slot_of(hak::address_of(many)) <
                                      6,
                "the block is not of the free run");
        hak::deallocate<W>(kit::heap_of<W>(0), one);
    }
    require(kit::os.count(kit::Call::purge) != 0,
            "five slots of six were free for four times the delay, and are resident");
    // And what comes and goes is itself not purged each time.
    require(kit::os.count(kit::Call::purge) <= 5, kit::os.count(kit::Call::purge),
            " purges in four delays");
}

// A few threads that end leave an empty slab of each class to those that follow them; whoever lives
// and refills returns it in the end.
void orphans_cool() {
    kit::reset_world<W>();
    const auto used_units = [] { return hak::pool<W>.counters().used_units; };
    const auto live_and_end = [](unsigned thread) {
        kit::threads.current = thread;
        void* const p = hak::allocate<W>(kit::heap_of<W>(thread), 64);
        require(p != nullptr, "no memory");
        hak::deallocate<W>(kit::heap_of<W>(thread), p);
        hak::give_up<W>();
    };
    const auto be_born = [](unsigned thread) {
        kit::threads.all[thread].heap = &hak::empty_heap<W>;
    };

    live_and_end(1);
    require(used_units() == 1, "the first orphan keeps ", used_units(), " units, not its one slab");
    const std::uint64_t opens = hak::heaps<W>.at(0).slab_opens.load(hak::order::relaxed);
    be_born(1);
    live_and_end(1);
    require(hak::heaps<W>.at(0).slab_opens.load(hak::order::relaxed) == opens,
            "the thread that adopts a warm heap opens a slab");

    // Two threads at once: the second to end meets an orphan already, and returns what is empty.
    be_born(1);
    be_born(2);
    kit::threads.current = 2;
    void* const held = hak::allocate<W>(kit::heap_of<W>(2), 64);  // adopts the warm heap
    // so this one is a new heap, the only orphan
    live_and_end(1);
    kit::threads.current = 2;
    hak::deallocate<W>(kit::heap_of<W>(2), held);
    hak::give_up<W>();
    require(used_units() == 1, "two orphans keep ", used_units(), " units, not one slab");

    // The main thread refills another class now and then, and nobody ever adopts the orphans again.
    kit::threads.current = 0;
    std::vector<void*> blocks;
    for (unsigned round = 0; round < 2; ++round) {
        kit::os.advance(600);
        for (unsigned n = 0; n < 64 * 8; ++n) {
            blocks.push_back(hak::allocate<W>(kit::heap_of<W>(0), 128));
            require(blocks.back() != nullptr, "no memory");
        }
        for (void* const p : blocks) hak::deallocate<W>(kit::heap_of<W>(0), p);
        blocks.clear();
    }
    for (unsigned i = 0; i < hak::heaps<W>.count(); ++i) {
        const hak::Heap<W>& heap = hak::heaps<W>.at(i);
        if (heap.token.load(hak::order::relaxed) != hak::Token::orphan) continue;
        require(heap.slabs.load(hak::order::relaxed) == 0, "heap ", i,
                " has no thread and keeps a slab for ever");
    }
}

}  // namespace

int main(int, char** argv) {
    check_test examples[] = {
        CHECK_TEST(decommit_failures),
        CHECK_TEST(delays_hold),
        CHECK_TEST(neighbours_age),
        CHECK_TEST(orphans_cool),
    };
    return unit::run(argv, examples);
}
