// ownership_scenarios.cpp: threads end, and others take what they leave: exit, adoption, visiting,
// take-over, against frees that do not know of it.
#include "props/explorer/protocols/client.hpp"

namespace protocols {
namespace {

using explorer::Scenario;
using enum hak::Heuristic;

// Thread 0 has a heap with one full slab, whose two blocks other threads will free.
struct Owner : Case {
    explicit Owner(Scenario& s) : Case(s) {
        before(0, [this] {
            for (void*& p : blocks) p = take();
        });
    }
    void* blocks[2];
};

const Explored kExitTwo("ownership.exit_two_freers", {collect, keep_empty, keep_warm},
                        [](Scenario& s) {
                            Owner c(s);
                            c.thread("exit", [] { leave(); });
                            c.thread("freer", [&] { give(c.blocks[0]); });
                            c.thread("freer", [&] { give(c.blocks[1]); });
                            c.ends_with(0);
                        });

// The exiting thread has a block of its own in its list, and a bump range.
const Explored kExitHolding("ownership.exit_with_full_bins", {keep_warm}, [](Scenario& s) {
    Owner c(s);
    c.before(0, [] { give(take()); });
    c.thread("exit", [] { leave(); });
    c.thread("freer", [&] { give(c.blocks[0]); });
    c.thread("adopter", [] { give(take()); });
    c.ends_with(1);
});

// It keeps a Large run, which goes to the pool before its heap is adopted.
const Explored kExitKeeping("ownership.exit_with_kept_run", {keep_run, keep_warm, adopt},
                            [](Scenario& s) {
                                Case c(s);
                                void* large = nullptr;
                                c.before(0, [&] {
                                    arrive();
                                    large = take_large();
                                });
                                c.thread("exit", [&] {
                                    give(large);
                                    leave();
                                });
                                c.thread("adopter", [] { give(take_large()); });
                                c.ends_with(0);
                            });

const Explored kExitAdopter("ownership.exit_freer_adopter", {collect, keep_warm, adopt, promising},
                            [](Scenario& s) {
                                Owner c(s);
                                c.thread("exit", [] { leave(); });
                                c.thread("freer", [&] { give(c.blocks[0]); });
                                c.thread("adopter", [] { take(); });
                                c.ends_with(2);
                            });

const Explored kAdopterServes("ownership.adopter_takes_what_came_back", [](Scenario& s) {
    Owner c(s);
    auto& done = s.make<hak::Atomic<World, unsigned>>(0u);
    c.thread("exit", [&] {
        leave();
        done.fetch_add(1, hak::order::release);
    });
    c.thread("freer", [&] {
        give(c.blocks[0]);
        done.fetch_add(1, hak::order::release);
    });
    c.thread("adopter", [&] {
        explorer::await([&] { return done.load(hak::order::acquire) == 2; });
        explorer::check(take() == c.blocks[0],
                        "an adopter leaves what came back, and takes fresh memory");
    });
    c.ends_with(2);
});

const Explored kTwoAdopters("ownership.exit_two_adopters", {keep_warm}, [](Scenario& s) {
    Owner c(s);
    c.thread("exit", [] { leave(); });
    c.thread("adopter", [] { arrive(); });
    c.thread("adopter", [] { arrive(); });
    c.ends_with(2);
});

// A thread is gone; its slab has one block out and one free, or both out. The first threads have
// heaps without room, which can visit.
struct Orphan : Case {
    explicit Orphan(Scenario& s, bool both_out, unsigned visitors = 1) : Case(s) {
        for (unsigned t = 0; t < visitors; ++t) {
            before(t, [] {
                for (int i = 0; i < 2; ++i) take();
            });
        }
        before(kGone, [&] {
            for (void*& p : blocks) p = take();
            if (!both_out) give(blocks[1]);
            leave();
        });
    }
    void* blocks[2];
};

const Explored kVisitorAdopter("ownership.orphan_visitor_adopter", {promising, keep_empty, collect},
                               [](Scenario& s) {
                                   Orphan c(s, false);
                                   c.thread("visitor", [] { take(); });
                                   c.thread("adopter", [] { take(); });
                                   c.ends_with(5);
                               });

const Explored kTwoVisitors("ownership.orphan_two_visitors",
                            {promising, visited_enough, keep_empty}, [](Scenario& s) {
                                Orphan c(s, false, 2);
                                c.thread("visitor", [] { take(); });
                                c.thread("visitor", [] { take(); });
                                c.ends_with(7);
                            });

// A free into a slab that changes its owner at that moment.
const Explored kVisitorFreer("ownership.take_over_freer", {promising, keep_empty, bin_full},
                             [](Scenario& s) {
                                 Orphan c(s, false);
                                 c.thread("visitor", [] {
                                     void* const p = take();
                                     give(take());
                                     give(p);
                                 });
                                 c.thread("freer", [&] { give(c.blocks[0]); });
                                 c.ends_with(2);
                             });

const Explored kVisitorTwoFreers("ownership.orphan_visitor_two_freers",
                                 {promising, visited_enough, keep_empty, housekeep, flush,
                                  visit_orphans},
                                 [](Scenario& s) {
                                     Orphan c(s, true);
                                     c.thread("visitor", [] { take(); });
                                     c.thread("freer", [&] { give(c.blocks[0]); });
                                     c.thread("freer", [&] { give(c.blocks[1]); });
                                     c.ends_with(3);
                                 });

// Two slabs of a living heap come back while a visitor drains it, now one, now both of them.
const Explored kTwoVisited("ownership.two_slabs_taken_over", {visited_enough}, [](Scenario& s) {
    Case c(s);
    void* blocks[4];
    c.before(kGone, [&] {
        for (void*& p : blocks) p = take();
    });
    c.before(0, [] {
        for (int i = 0; i < 2; ++i) take();
    });
    c.thread("visitor", [] { take(); });
    c.thread("freer", [&] { give(blocks[0]); });
    c.thread("freer", [&] { give(blocks[2]); });
    c.ends_with(5);
});

// The orphan's slab becomes empty and goes to the pool, and from there to the system, while its
// last block is freed.
const Explored kVisitorRetires("ownership.orphan_retired_late_free",
                               {keep_empty, batch_full, decommit}, [](Scenario& s) {
                                   Orphan c(s, true);
                                   c.thread("trimmer", [] { trim(); });
                                   c.thread("freer", [&] { give(c.blocks[0]); });
                                   c.thread("freer", [&] { give(c.blocks[1]); });
                                   c.ends_with(2);
                               });

// A thread that cannot promise to give its heap up borrows one for each call.
const Explored kBorrower("ownership.borrower_adopter", {collect, keep_warm, adopt},
                         [](Scenario& s) {
                             Orphan c(s, false);
                             kernel.can_hook[0].set(false);
                             c.thread("borrower", [] { take(); });
                             c.thread("adopter", [] { arrive(); });
                             c.ends_with(4);
                         });

// ---- visiting the living

// Thread 0 lives and has two slabs; what its list can hold is one block. Thread 1 has a heap
// without room.
struct Living : Case {
    explicit Living(Scenario& s) : Case(s) {
        before(1, [] {
            for (int i = 0; i < 2; ++i) take();
        });
        before(0, [this] {
            for (void*& p : blocks) p = take();
        });
    }
    void* blocks[4];  // 0 and 1 in the first slab, 2 and 3 in the second
};
// The first slab has one block out and one free; one block of the second one is in the list.
struct Roomy : Living {
    explicit Roomy(Scenario& s) : Living(s) {
        before(0, [this] {
            give(blocks[2]);
            give(blocks[0]);
        });
    }
};

const Explored kLivingSpill("ownership.living_spills",
                            {bin_full, keep_empty, promising, idle, visited_enough, housekeep,
                             flush},
                            [](Scenario& s) {
                                Roomy c(s);
                                c.thread("owner", [&] { give(c.blocks[1]); });
                                c.thread("visitor", [] { take(); });
                                c.ends_with(4);
                            });

// A spill that changes nothing but its slab's free list, in the class with four blocks in a slab.
const Explored kLivingSpillsInto(
    "ownership.living_spills_into_room", {bin_full, promising, idle, keep_empty}, [](Scenario& s) {
        Case c(s);
        const auto take_tiny = [] { return hak::allocate<World>(my_heap(), 16); };
        const auto give_tiny = [](void* p) { hak::deallocate<World>(my_heap(), p); };
        void* blocks[8];
        c.before(1, [&] {
            for (int i = 0; i < 4; ++i) take_tiny();
        });
        c.before(0, [&] {
            for (void*& p : blocks) p = take_tiny();
            give_tiny(blocks[4]);
            give_tiny(blocks[0]);
        });
        c.thread("owner", [&] { give_tiny(blocks[1]); });
        c.thread("visitor", [&] { take_tiny(); });
        c.thread("freer", [&] { give_tiny(blocks[2]); });
        c.ends_with(9);
    });

const Explored kLivingLeaves("ownership.living_leaves",
                             {idle, collect, keep_warm, keep_empty, promising}, [](Scenario& s) {
                                 Roomy c(s);
                                 c.thread("owner", [] { leave(); });
                                 c.thread("visitor", [] { take(); });
                                 c.thread("freer", [&] { give(c.blocks[1]); });
                                 c.ends_with(4);
                             });

// The owner's slow path that takes: what it finds, a visitor may have taken away, and a freer may
// have brought.
const Explored kLivingRefills("ownership.living_refills", {idle, promising, keep_empty},
                              [](Scenario& s) {
                                  Roomy c(s);
                                  c.thread("owner", [] {
                                      take();
                                      take();
                                  });
                                  c.thread("visitor", [] { take(); });
                                  c.thread("freer", [&] { give(c.blocks[1]); });
                                  c.ends_with(6);
                              });

// The owner's refill does the rounds while a visitor comes by.
const Explored kLivingHousekeeps("ownership.living_housekeeps", {housekeep, flush, idle},
                                 [](Scenario& s) {
                                     Roomy c(s);
                                     c.before(0, [] { take(); });
                                     c.thread("owner", [] { take(); });
                                     c.thread("visitor", [] { take(); });
                                     c.ends_with(7);
                                 });

// Hits need no token: the owner frees a block of the slab that changes hands, and may have it in
// its list then.
const Explored kLivingHits("ownership.living_hits",
                           {bin_full, idle, promising, keep_empty, collect}, [](Scenario& s) {
                               Roomy c(s);
                               c.thread("owner", [&] {
                                   take();
                                   give(c.blocks[1]);
                                   leave();
                               });
                               c.thread("visitor", [] { take(); });
                               c.ends_with(5);
                           });

// The visitor takes the slab over that the block in the owner's list lies in.
const Explored kLivingList("ownership.living_list_moved",
                           {bin_full, idle, keep_empty, collect, keep_warm}, [](Scenario& s) {
                               Living c(s);
                               c.before(0, [&] { give(c.blocks[0]); });
                               c.thread("owner", [] { leave(); });
                               c.thread("visitor", [] { take(); });
                               c.thread("freer", [&] { give(c.blocks[1]); });
                               c.ends_with(5);
                           });

// A thread keeps another's blocks in its list for a while, hands one out again, and gives them home
// when it ends.
const Explored kForeign("ownership.foreign_block_kept", {keep_foreign, bin_full, collect},
                        [](Scenario& s) {
                            Living c(s);
                            c.thread("owner", [&] { give(c.blocks[1]); });
                            c.thread("keeper", [&] {
                                give(c.blocks[0]);
                                take();
                                leave();
                            });
                            c.thread("freer", [&] { give(c.blocks[2]); });
                            c.ends_with(4);
                        });

// The owner has untouched blocks of a slab, one of whose blocks comes back: the slab stays.
const Explored kLivingBump("ownership.living_bump_range",
                           {bin_full, collect, keep_empty, housekeep, flush}, [](Scenario& s) {
                               Case c(s);
                               void* block = nullptr;
                               c.before(1, [] {
                                   for (int i = 0; i < 2; ++i) take();
                               });
                               c.before(0, [&] { block = take(); });
                               c.thread("owner", [] {
                                   take();
                                   leave();
                               });
                               c.thread("visitor", [] { trim(); });
                               c.thread("freer", [&] { give(block); });
                               c.ends_with(3);
                           });

// The owner itself gave a block back to the slab that its untouched blocks lie in.
const Explored kLivingBumpRoom("ownership.living_bump_slab_with_room",
                               {bin_full, idle, promising, collect, keep_empty, housekeep, flush},
                               [](Scenario& s) {
                                   Case c(s);
                                   c.before(1, [] {
                                       for (int i = 0; i < 2; ++i) take();
                                   });
                                   c.before(0, [] {
                                       void* blocks[3];
                                       for (void*& p : blocks) p = take();
                                       give(blocks[0]);
                                       give(blocks[2]);
                                   });
                                   c.thread("owner", [] {
                                       take();
                                       leave();
                                   });
                                   c.thread("visitor", [] { take(); });
                                   c.ends_with(5);
                               });

const Explored kLivingTrim("ownership.living_trimmed", {bin_full, keep_empty, batch_full, decommit},
                           [](Scenario& s) {
                               Roomy c(s);
                               c.thread("owner", [&] { give(c.blocks[3]); });
                               c.thread("trimmer", [] { trim(); });
                               c.thread("freer", [&] { give(c.blocks[1]); });
                               c.ends_with(2);
                           });

// The exit hook runs twice, as it does where a destructor of another key runs it again.
const Explored kExitTwice("ownership.exit_twice", {adopt, keep_warm, collect, promising},
                          [](Scenario& s) {
                              Owner c(s);
                              c.thread("exit", [] {
                                  leave();
                                  leave();
                              });
                              c.thread("adopter", [] { take(); });
                              c.ends_with(3);
                          });

// The token alone: a heap's thread in its slow paths, and visitors that come by. Whoever waits for
// it sleeps.
template <Held kHeld>
void handshake(Scenario& s, unsigned visitors) {
    using W = WorldOf<kHeld>;
    ProcessOf<W> process(s);
    hak::start<W>();
    hak::Heap<W>* heap = nullptr;
    while ((heap = hak::heaps<W>.take()) == nullptr) hak::heaps<W>.make_room();
    s.thread("thread", [heap] {
        for (int i = 0; i < 2; ++i) {
            const hak::Held<W> held(*heap);
            heap->refills.set(heap->refills.get() + 1);
        }
    });
    for (unsigned t = 0; t < visitors; ++t) {
        s.thread("visitor", [heap] {
            if (!hak::try_take_token(*heap, hak::Token::owned, hak::Token::visited)) return;
            heap->refills.set(heap->refills.get() + 1);
            hak::end_visit(*heap, hak::Token::owned);
        });
    }
    s.finally([heap, visitors] {
        const unsigned held = heap->refills.get();
        explorer::check(held >= 2 && held <= 2 + visitors, "each holder counts once");
        explorer::check(heap->token.load(hak::order::relaxed) == hak::Token::owned,
                        "the token is at rest");
    });
    s.run();
}
const Explored kAwait("ownership.token_sleeper",
                      [](Scenario& s) { handshake<Held::sleeps>(s, 2); });
const Explored kLook("ownership.token_looker", [](Scenario& s) { handshake<Held::looks>(s, 2); });

}  // namespace
}  // namespace protocols
