// remote_scenarios.cpp: blocks that other threads free come back to their slab's owner: the remote
// list, the queued bit, the pending list, and what becomes of an owner's slabs while it collects.
#include "props/explorer/protocols/client.hpp"

namespace protocols {
namespace {

using explorer::Scenario;
using enum hak::Heuristic;

// The primitives alone, on a slab with six blocks and no allocator around it.
struct Bare {
    static constexpr hak::Address kSecret = 0x123456789abcdef1;
    struct alignas(16) Cell {
        Block block;
        hak::Plain<World, std::uint64_t> payload, visits;
    };

    UnitRecord slab;
    hak::Atomic<World, UnitRecord*> pending;
    Cell cells[6];

    void free(unsigned i) {
        cells[i].payload.set(i + 1);
        if (hak::post<World>(slab, &cells[i].block, kSecret))
            hak::push_pending<World>(pending, &slab);
    }
    void collect() {
        UnitRecord* const popped = hak::pop_pending<World>(pending);
        if (popped == nullptr) return;
        explorer::check(popped == &slab && popped->pending_next.get() == nullptr,
                        "one slab is pending, once");
        for (hak::Address a = hak::drain(*popped); a != 0;) {
            auto& cell = *hak::pointer_to<Cell>(a);
            explorer::check(cell.block.is_closed(kSecret), "a posted block is sealed");
            explorer::check(cell.payload.get() != 0, "a block is posted after its last use");
            cell.visits.set(cell.visits.get() + 1);
            a = cell.block.link.get();
        }
    }
    void expect_visits(unsigned blocks) {
        collect();
        explorer::check(pending.load(hak::order::relaxed) == nullptr &&
                            slab.remote.load(hak::order::relaxed) == 0,
                        "all was collected");
        for (unsigned i = 0; i < 6; ++i)
            explorer::check(cells[i].visits.get() == (i < blocks),
                            "each posted block is drained once");
    }
};

void bare(Scenario& s, unsigned freers, unsigned each, unsigned collects) {
    Bare& b = s.make<Bare>();
    for (unsigned f = 0; f < freers; ++f) {
        s.thread("freer", [&b, f, each] {
            for (unsigned i = 0; i < each; ++i) b.free(f * each + i);
        });
    }
    s.thread("owner", [&b, collects] {
        for (unsigned i = 0; i < collects; ++i) b.collect();
    });
    s.finally([&b, freers, each] { b.expect_visits(freers * each); });
    s.run();
}

const Explored kTwo("remote.two_freers", [](Scenario& s) { bare(s, 2, 1, 2); });
const Explored kThree("remote.three_freers", [](Scenario& s) { bare(s, 3, 1, 1); });
const Explored kTwice("remote.freer_posts_twice", [](Scenario& s) { bare(s, 1, 2, 2); });
const Explored kTwoTwice("remote.two_freers_post_twice", [](Scenario& s) { bare(s, 2, 2, 1); });

// The owner's slab is full, so that its next allocation collects.
struct FullSlab : Case {
    explicit FullSlab(Scenario& s) : Case(s) {
        before(0, [this] {
            first = take();
            second = take();
        });
    }
    void* first = nullptr;
    void* second = nullptr;
};

const Explored kRefill("remote.owner_refills",
                       {bin_full, collect, keep_empty, housekeep, flush, visit_orphans},
                       [](Scenario& s) {
                           FullSlab c(s);
                           c.thread("owner", [] { give(take()); });
                           c.thread("freer", [&] { give(c.first); });
                           c.thread("freer", [&] { give(c.second); });
                           c.ends_with(0);
                       });

// Three of a slab's smallest blocks.
const Explored kRefillThree(
    "remote.owner_refills_three_freers", {collect, keep_empty}, [](Scenario& s) {
        constexpr std::size_t kTiny = hak::kMinAlignment,
                              kFill = kUnitsPerSlab * kUnitBytes / kTiny;
        Case c(s);
        void* blocks[kFill];
        c.before(0, [&] {
            for (void*& p : blocks) p = hak::allocate<World>(my_heap(), kTiny);
        });
        c.thread("owner", [] {
            explorer::check(hak::allocate<World>(my_heap(), kTiny) != nullptr, "no memory");
        });
        for (unsigned f = 0; f < 3; ++f) {
            c.thread("freer", [&, f] { hak::deallocate<World>(my_heap(), blocks[f]); });
        }
        c.ends_with(kFill - 2);
    });

// Two slabs meet on the owner's pending list.
const Explored kTwoSlabs("remote.two_slabs", {collect, keep_empty, housekeep, flush},
                         [](Scenario& s) {
                             FullSlab c(s);
                             void* other = nullptr;
                             c.before(0, [&] {
                                 other = take();
                                 take();
                             });
                             c.thread("owner", [] { take(); });
                             c.thread("freer", [&] { give(c.first); });
                             c.thread("freer", [&] { give(other); });
                             c.ends_with(3);
                         });

// What came back before a refill serves it.
const Explored kServes("remote.refill_takes_what_came_back", [](Scenario& s) {
    FullSlab c(s);
    auto& done = s.make<hak::Atomic<World, bool>>(false);
    c.thread("owner", [&] {
        explorer::await([&] { return done.load(hak::order::acquire); });
        explorer::check(take() == c.first,
                        "a refill leaves what came back, and takes fresh memory");
    });
    c.thread("freer", [&] {
        give(c.first);
        done.store(true, hak::order::release);
    });
    c.ends_with(2);
});

// The owner returns all it can while its last two blocks come back: the slab is released by the
// owner, late, or later at home.
const Explored kRetire("remote.owner_retires_slab", {collect, keep_empty, batch_full, decommit},
                       [](Scenario& s) {
                           FullSlab c(s);
                           c.thread("owner", [] {
                               trim();
                               trim();
                           });
                           c.thread("freer", [&] { give(c.first); });
                           c.thread("freer", [&] { give(c.second); });
                           c.ends_with(0);
                       });

// The slab is released, and its unit is another heap's slab before the freer ends.
const Explored kAnew("remote.slab_owned_anew", [](Scenario& s) {
    FullSlab c(s);
    c.before(1, [] {
        for (int i = 0; i < 2; ++i) take();
    });
    c.before(0, [&] { give(c.second); });
    c.thread("owner", [] { trim(); });
    c.thread("newcomer", [] { take(); });
    c.thread("freer", [&] { give(c.first); });
    c.ends_with(3);
});

}  // namespace
}  // namespace protocols
