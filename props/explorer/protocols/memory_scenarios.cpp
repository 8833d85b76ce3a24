// memory_scenarios.cpp: units and slots change hands through the pool, and memory goes to the
// system and comes back, while others free into it; the lock itself, with threads that sleep.
#include "props/explorer/protocols/client.hpp"

namespace protocols {
namespace {

using explorer::Scenario;
using enum hak::Heuristic;

// A superslab's two slabs become empty and it is decommitted; the blocks' freers are late.
const Explored kRetire("memory.superslab_retired_late_free", {keep_empty, batch_full, decommit},
                       [](Scenario& s) {
                           Case c(s);
                           void* blocks[4];
                           c.before(0, [&] {
                               for (void*& p : blocks) p = take();
                               give(blocks[1]);
                               give(blocks[3]);
                           });
                           c.thread("owner", [] { trim(); });
                           c.thread("freer", [&] { give(blocks[0]); });
                           c.thread("freer", [&] { give(blocks[2]); });
                           c.ends_with(0);
                       });

// Memory that a trim took is committed again for another thread.
const Explored kReuse("memory.decommitted_and_reused", [](Scenario& s) {
    Case c(s);
    void* block = nullptr;
    c.before(0, [&] { block = take(); });
    c.before(1, [] { arrive(); });
    c.thread("owner", [&] {
        give(block);
        trim();
    });
    c.thread("other", [] { take(); });
    c.ends_with(1);
});

const Explored kLarge("memory.large_acquire_release", {keep_run}, [](Scenario& s) {
    Case c(s);
    void* large = nullptr;
    c.before(0, [&] { large = take_large(); });
    c.thread("taker", [] { give(take_large()); });
    c.thread("giver", [&] {
        give(large);
        give(take_large());
    });
    c.ends_with(0);
});

// A unit is now a slab's, now a Large block's.
const Explored kMixed("memory.unit_of_slab_and_large", [](Scenario& s) {
    Case c(s);
    void* block = nullptr;
    void* large = nullptr;
    c.before(0, [&] {
        block = take();
        large = take_large();
    });
    c.thread("owner", [&] {
        give(block);
        trim();
    });
    c.thread("other", [&] {
        give(large);
        give(take_large());
    });
    c.ends_with(0);
});

// A Big block grows in place into a slot that another thread wants.
const Explored kResize("memory.big_grows_beside_taker", [](Scenario& s) {
    Case c(s);
    void* big = nullptr;
    c.before(0, [&] { big = hak::allocate<World>(my_heap(), kSlotBytes); });
    c.thread("owner", [&] {
        UnitRecord* const record = window.record_of(hak::address_of(big));
        hak::resize_in_place<World>(record, hak::UnitState::big, 2 * kSlotBytes);
        hak::resize_in_place<World>(record, hak::UnitState::big, kSlotBytes);
    });
    c.thread("taker", [] { give(take_large()); });
    s.finally([] { audit(0); });
    s.run();
});

// Of two frees of one Large block one succeeds.
const Explored kDouble("memory.large_freed_twice",
                       {keep_run, cache_full, flush_batch, due, batch_full, decommit},
                       [](Scenario& s) {
                           Case c(s);
                           void* large = nullptr;
                           c.before(0, [&] { large = take_large(); });
                           auto& succeeded = s.ghost<unsigned>(0u);
                           auto free = [&] {
                               UnitRecord* const record = window.record_of(hak::address_of(large));
                               succeeded += hak::release_above_small<World>(my_heap(), record,
                                                                            hak::UnitState::large);
                           };
                           c.thread("freer", free);
                           c.thread("freer", free);
                           s.finally([&] {
                               explorer::check(succeeded == 1,
                                               "two frees of one block succeeded, or none");
                               audit(0);
                           });
                           s.run();
                       });

// What is due is purged and decommitted while others take from the pool. Any look at the clock may
// find that the delay has passed.
const Explored kDue("memory.purge_while_taken",
                    {cache_full, flush_batch, due, batch_full, decommit}, [](Scenario& s) {
                        Case c(s);
                        void* large[3];
                        c.before(0, [&] {
                            for (void*& p : large) p = take_large();
                            give(large[0]);
                            kernel.clock_jumps.set(true);
                        });
                        c.thread("giver", [&] { give(large[1]); });
                        c.thread("taker", [] { take_large(); });
                        s.finally([] {
                            kernel.clock_jumps.set(false);
                            audit(0);
                        });
                        s.run();
                    });

// Now and then a refill flushes idle lists, if the clock says so.
const Explored kHousekeep("memory.housekeeping_late_free",
                          {housekeep, flush, visit_orphans, collect, keep_empty}, [](Scenario& s) {
                              Case c(s);
                              void* blocks[2];
                              c.before(0, [&] {
                                  for (void*& p : blocks) p = take();
                                  my_heap()->refills.set(63);
                                  kernel.clock_jumps.set(true);
                              });
                              c.thread("owner", [] { take(); });
                              c.thread("freer", [&] { give(blocks[0]); });
                              c.thread("freer", [&] { give(blocks[1]); });
                              s.finally([] {
                                  kernel.clock_jumps.set(false);
                                  come_home(1);
                              });
                              s.run();
                          });

// The lock alone: whoever holds it has what it guards, and whoever waits is woken. The last thread
// only tries.
template <Held kHeld>
void holders(Scenario& s, unsigned threads) {
    using W = WorldOf<kHeld>;
    ProcessOf<W> process(s);
    auto& guarded = s.make<hak::Plain<W, unsigned>>(0u);
    auto& held = s.ghost<unsigned>(0u);
    auto& lock = hak::pool<W>.lock();
    const auto use = [&] {
        guarded.set(guarded.get() + 1);
        held += 1;
    };
    for (unsigned t = 1; t < threads; ++t) {
        s.thread("holder", [&] {
            hak::LockGuard<W> guard(lock);
            use();
        });
    }
    s.thread("trier", [&] {
        if (!lock.try_acquire()) return;
        use();
        lock.release();
    });
    s.finally([&, threads] {
        explorer::check(guarded.get() == held && held >= threads - 1, "each holder counts once");
        explorer::check(!lock.is_held(), "the lock is free at rest");
    });
    s.run();
}
const Explored kThreeSleep("memory.lock_sleepers",
                           [](Scenario& s) { holders<Held::sleeps>(s, 3); });
const Explored kTwoLook("memory.lock_lookers", [](Scenario& s) { holders<Held::looks>(s, 3); });

// Two threads make slots ready at once: one may use what the other has just made ready.
const Explored kGrow("memory.window_grows_twice", [](Scenario& s) {
    Case c(s);
    c.before(kGone, [] { hak::start<World>(); });
    const auto take_slot = [] {
        explorer::check(hak::allocate<World>(my_heap(), kSlotBytes) != nullptr, "no memory");
    };
    c.thread("taker", take_slot);
    c.thread("taker", take_slot);
    s.finally([] { audit(0); });
    s.run();
});

}  // namespace
}  // namespace protocols
