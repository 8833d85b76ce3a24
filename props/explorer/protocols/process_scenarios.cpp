// process_scenarios.cpp: the first calls of a process, births of heaps, and fork at any moment.
#include "props/explorer/protocols/client.hpp"

namespace protocols {
namespace {

using explorer::Scenario;
using enum hak::Heuristic;

const Explored kFirst("process.first_use", {adopt}, [](Scenario& s) {
    Case c(s);
    c.thread("first", [] { arrive(); });
    c.thread("second", [] { arrive(); });
    c.ends_with(0);
});

// Who finds the window open finds the run-time options as well.
const Explored kTunables("process.options_published", [](Scenario& s) {
    Case c(s);
    c.thread("first", [] { hak::start<World>(); });
    c.thread("other", [] {
        if (window.is_open()) reclaim.tick();
    });
    c.ends_with(0);
});

// While the window opens, a thread asks about a pointer that is not ours, at a low address as the
// program break has.
const Explored kForeign("process.foreign_pointer_while_opening", [](Scenario& s) {
    Case c(s);
    c.thread("first", [] { hak::start<World>(); });
    c.thread("other", [] {
        explorer::check(!window.contains(0x100), "a foreign pointer is taken for ours");
    });
    s.finally([] {});
    s.run();
});

// Two threads make superslabs ready and heaps of their own at once.
const Explored kBirth("process.two_births", [](Scenario& s) {
    Case c(s);
    c.before(kGone, [] { give(take()); });
    c.thread("newborn", [] { take(); });
    c.thread("newborn", [] { take(); });
    c.ends_with(2);
});

const Explored kBirthVisitor("process.birth_beside_visitor", {promising}, [](Scenario& s) {
    Case c(s);
    c.before(1, [] {
        for (int i = 0; i < 2; ++i) take();
    });
    c.before(kGone, [] {
        take();
        leave();
    });
    c.thread("newborn", [] { take(); });
    c.thread("visitor", [] { take(); });
    c.ends_with(5);
});

// ---- fork

void script() {
    give(take());
    give(take_large());
    trim();
    take();
}

void fork_now() {
    fork_then(script);
}

// Thread 0 forks; it has a slab with two blocks that others free.
struct Forker : Case {
    explicit Forker(Scenario& s) : Case(s) {
        before(0, [this] {
            for (void*& p : blocks) p = take();
        });
    }
    void* blocks[2];
};

const Explored kForkFreer("process.fork_freer", [](Scenario& s) {
    Forker c(s);
    c.thread("forker", [] { fork_now(); });
    c.thread("freer", [&] { give(c.blocks[0]); });
    c.ends_with(1);
});

const Explored kForkTwoFreers("process.fork_two_freers", {bin_full, keep_empty}, [](Scenario& s) {
    Forker c(s);
    c.thread("forker", [] { fork_now(); });
    c.thread("freer", [&] { give(c.blocks[0]); });
    c.thread("freer", [&] { give(c.blocks[1]); });
    c.ends_with(0);
});

const Explored kForkOwner("process.fork_owner_at_work",
                          {bin_full, collect, keep_warm, housekeep, flush}, [](Scenario& s) {
                              Forker c(s);
                              c.before(1, [] { take(); });
                              c.thread("forker", [] { fork_now(); });
                              c.thread("worker", [] {
                                  give(take());
                                  leave();
                              });
                              c.ends_with(3);
                          });

const Explored kForkVisitor("process.fork_visitor", {idle, promising, visited_enough, keep_empty},
                            [](Scenario& s) {
                                Forker c(s);
                                c.before(1, [] {
                                    for (int i = 0; i < 2; ++i) take();
                                });
                                c.before(kGone, [] {
                                    take();
                                    leave();
                                });
                                c.thread("forker", [] { fork_now(); });
                                c.thread("visitor", [] { take(); });
                                c.ends_with(6);
                            });

const Explored kForkTrim("process.fork_trim", {keep_empty, batch_full, decommit}, [](Scenario& s) {
    Forker c(s);
    c.before(1, [] { give(take()); });
    c.thread("forker", [] { fork_now(); });
    c.thread("trimmer", [] { trim(); });
    c.ends_with(2);
});

// The child meets a heap whose thread was about to keep a Large run, or to take it.
const Explored kForkKeeper("process.fork_keeper", {keep_run}, [](Scenario& s) {
    Forker c(s);
    void* large = nullptr;
    c.before(1, [&] {
        arrive();
        large = take_large();
    });
    c.thread("forker", [] { fork_now(); });
    c.thread("keeper", [&] {
        give(large);
        give(take_large());
    });
    c.ends_with(2);
});

const Explored kForkFirst("process.fork_first_use", {adopt}, [](Scenario& s) {
    Case c(s);
    c.thread("forker", [] { fork_now(); });
    c.thread("first", [] { take(); });
    c.ends_with(1);
});

const Explored kForkFork("process.two_forks", [](Scenario& s) {
    Forker c(s);
    c.thread("forker", [] { fork_now(); });
    c.thread("forker", [] { fork_now(); });
    c.ends_with(2);
});

}  // namespace
}  // namespace protocols
