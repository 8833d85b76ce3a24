// more_controls.cpp: the scenarios of controls.cpp for waiting, what the test itself asks, and
// fork().
#include "props/explorer/driver.hpp"

namespace {

using explorer::check;
using explorer::Kind;
using explorer::Options;
using explorer::Registered;
using explorer::Scenario;
using explorer::Sync;
using Order = std::memory_order;

using Word = Sync::Atomic<unsigned>;
using Data = Sync::Plain<unsigned>;

// --- Waiting ---

// A sleeper announces itself and looks once more; a waker leaves work and looks for sleepers.
// Without a total order each may miss the other.
void wake_up(Scenario& s, Order store, Order load) {
    struct Bell {
        Word work, asleep, woken;
    };
    auto& bell = s.make<Bell>();
    s.thread("sleeper", [&, store, load] {
        bell.asleep.store(1, store);
        if (bell.work.load(load)) return;
        explorer::await([&] { return bell.woken.load(Order::acquire) == 1; });
    });
    s.thread("waker", [&, store, load] {
        bell.work.store(1, store);
        if (bell.asleep.load(load)) bell.woken.store(1, Order::release);
    });
    s.run();
}
const Registered lost_wake_up{"liveness.lost_wake_up",
                              [](Scenario& s) { wake_up(s, Order::release, Order::acquire); },
                              {},
                              Kind::liveness};
const Registered lost_wake_up_twin{"liveness.wake_up",
                                   [](Scenario& s) { wake_up(s, Order::seq_cst, Order::seq_cst); }};

void lock(Word& word) {
    for (Sync::Loop loop;;) {
        unsigned expected = 0;
        if (word.cas_strong(expected, 1, Order::acquire, Order::relaxed)) return;
        loop.wait();
    }
}
void unlock(Word& word) {
    word.store(0, Order::release);
}

void two_locks(Scenario& s, bool same_order) {
    struct Locks {
        Word a, b;
        Data guarded;
    };
    auto& locks = s.make<Locks>();
    auto both = [&locks](Word& first, Word& second) {
        lock(first);
        lock(second);
        locks.guarded.set(locks.guarded.get() + 1);
        unlock(second);
        unlock(first);
    };
    s.thread("ab", [&, both] { both(locks.a, locks.b); });
    s.thread("ba", [&, both, same_order] {
        same_order ? both(locks.a, locks.b) : both(locks.b, locks.a);
    });
    s.finally([&] { check(locks.guarded.get() == 2, "both were inside"); });
    s.run();
}
const Registered deadlock{
    "liveness.deadlock", [](Scenario& s) { two_locks(s, false); }, {}, Kind::liveness};
const Registered deadlock_twin{"liveness.one_lock_order", [](Scenario& s) { two_locks(s, true); }};

// Each thread undoes what the other one waits for, with writes, so that no wait is seen in it.
const Registered livelock{"step_bound.livelock",
                          [](Scenario& s) {
                              auto& turn = s.make<Word>();
                              for (unsigned t = 0; t < 2; ++t)
                                  s.thread(t ? "odd" : "even", [&, t] {
                                      while (turn.exchange(2, Order::acq_rel) != t) {
                                      }
                                  });
                              s.run();
                          },
                          Options{.step_bound = 50}, Kind::step_bound};

// The same where no other thread has a part in it.
const Registered alone{"step_bound.alone",
                       [](Scenario& s) {
                           auto& word = s.make<Word>();
                           s.thread("alone", [&] {
                               while (word.load(Order::relaxed) == 0) {
                               }
                           });
                           s.run();
                       },
                       Options{.step_bound = 10}, Kind::step_bound};
const Registered plain_alone{"step_bound.plain",
                             [](Scenario& s) {
                                 auto& data = s.make<Data>();
                                 s.thread("alone", [&] {
                                     while (data.get() == 0) {
                                     }
                                 });
                                 s.run();
                             },
                             Options{.step_bound = 10}, Kind::step_bound};

// A round of a loop that others can see may not be cut: what it did is still there when the loop
// has ended, here after two rounds.
template <class Round>
void visible_rounds(Scenario& s, Round round) {
    struct Words {
        Word attempts, goal;
    };
    auto& words = s.make<Words>();
    s.thread("loops", [&, round] {
        Sync::Loop loop;
        for (unsigned i = 0; i < 2; ++i) {
            words.attempts.fetch_add(1, Order::relaxed);
            if (round(words.goal, loop)) break;
        }
    });
    s.thread("disturbs", [&] { words.goal.store(1, Order::relaxed); });
    s.finally([&] { check(words.attempts.load(Order::relaxed) == 1, "a second round"); });
    s.run();
}
const Registered visible_retry{"loop.visible_round_retries",
                               [](Scenario& s) {
                                   visible_rounds(s, [](Word& goal, Sync::Loop& loop) {
                                       unsigned expected = 1;
                                       const bool done = goal.cas_strong(
                                           expected, 2, Order::relaxed, Order::relaxed);
                                       if (!done) loop.retry();
                                       return done;
                                   });
                               },
                               {},
                               Kind::check};
const Registered visible_wait{"loop.visible_round_waits",
                              [](Scenario& s) {
                                  visible_rounds(s, [](Word& goal, Sync::Loop& loop) {
                                      const bool done = goal.load(Order::relaxed) == 1;
                                      if (!done) loop.wait();
                                      return done;
                                  });
                              },
                              {},
                              Kind::check};

// A round that decided something may decide otherwise in the next one: it does not wait for ever.
const Registered decided_wait{
    "liveness.wait_after_a_choice", [](Scenario& s) {
        auto& word = s.make<Word>();
        s.thread("waits", [&] {
            for (Sync::Loop loop; word.load(Order::relaxed) == 0 && explorer::choose(2) == 0;
                 loop.wait()) {
            }
        });
        s.run();
    }};
const Registered spurious_wait{
    "liveness.wait_after_a_spurious_failure", [](Scenario& s) {
        auto& word = s.make<Word>();
        s.thread("waits", [&] {
            unsigned expected = 0;
            for (Sync::Loop loop; !word.cas_weak(expected, 1, Order::acquire, Order::relaxed);
                 loop.wait()) {
            }
        });
        s.run();
    }};

// --- What the test itself asks ---

const Registered check_in_thread{
    "check.in_a_thread",
    [](Scenario& s) {
        auto& word = s.make<Word>();
        s.thread("stores", [&] { word.store(1, Order::relaxed); });
        s.thread("reads", [&] { check(word.load(Order::relaxed) == 0, "the word has changed"); });
        s.run();
    },
    {},
    Kind::check};

// Two threads take the same block and one of them gives it back, so that one count is lost: found
// when all is over.
void leak(Scenario& s, bool atomically) {
    auto& blocks = s.make<Word>();
    for (const char* name : {"first", "second"})
        s.thread(name, [&, atomically] {
            if (atomically)
                blocks.fetch_add(1, Order::relaxed);
            else
                blocks.store(blocks.load(Order::relaxed) + 1, Order::relaxed);
        });
    s.finally([&] { check(blocks.load(Order::relaxed) == 2, "a block is lost"); });
    s.run();
}
const Registered leaked{"check.leak", [](Scenario& s) { leak(s, false); }, {}, Kind::check};
const Registered leaked_twin{"check.no_leak", [](Scenario& s) { leak(s, true); }};

// True between two steps only.
const Registered invariant{"check.always",
                           [](Scenario& s) {
                               auto& word = s.make<Word>();
                               auto& inside = s.ghost<unsigned>();
                               for (const char* name : {"first", "second"})
                                   s.thread(name, [&] {
                                       ++inside;
                                       word.fetch_add(1, Order::relaxed);
                                       word.fetch_add(1, Order::relaxed);
                                       --inside;
                                   });
                               s.always([&] { check(inside <= 1, "two threads inside"); });
                               s.run();
                           },
                           {},
                           Kind::check};

const Registered chosen{"check.choice",
                        [](Scenario& s) {
                            s.thread("chooses", [] {
                                check(explorer::choose(5, "a number") != 3, "three was chosen");
                            });
                            s.run();
                        },
                        {},
                        Kind::check};

const Registered chosen_twice{"check.two_choices",
                              [](Scenario& s) {
                                  s.thread("chooses", [] {
                                      const bool first = explorer::choose(2) != 0;
                                      check(!(explorer::choose(2) != 0 && first),
                                            "both were chosen");
                                  });
                                  s.run();
                              },
                              {},
                              Kind::check};

const Registered crash{"crash.null",
                       [](Scenario& s) {
                           auto& word = s.make<Word>();
                           s.thread("stores", [&] { word.store(1, Order::relaxed); });
                           s.thread("follows", [&] {
                               unsigned local = 0;
                               volatile unsigned* const p =
                                   word.load(Order::relaxed) ? nullptr : &local;
                               *p = 1;
                           });
                           s.run();
                       },
                       {},
                       Kind::crash};

Word in_no_arena;
const Registered unregistered{"unregistered.global",
                              [](Scenario& s) {
                                  auto& word = s.make<Word>();
                                  s.thread("stores", [&] {
                                      word.store(1, Order::relaxed);
                                      in_no_arena.store(1, Order::relaxed);
                                  });
                                  s.run();
                              },
                              {},
                              Kind::unregistered};

// A search that is cut short is not a proof.
const Registered budget{"budget.executions",
                        [](Scenario& s) {
                            auto& word = s.make<Word>();
                            for (const char* name : {"a", "b", "c"})
                                s.thread(name, [&] { word.fetch_add(1, Order::relaxed); });
                            s.run();
                        },
                        Options{.max_executions = 5}, Kind::budget};
const Registered budget_of_time{"budget.seconds",
                                [](Scenario& s) {
                                    auto& word = s.make<Word>();
                                    for (const char* name : {"a", "b", "c", "d"})
                                        s.thread(name, [&] {
                                            for (unsigned i = 0; i < 2; ++i)
                                                word.fetch_add(1, Order::relaxed);
                                        });
                                    s.run();
                                },
                                Options{.max_seconds = 1e-6}, Kind::budget};

// --- fork() ---

// The child has one thread; a lock that another thread held stays locked unless the fork waits for
// it.
void fork_against_lock(Scenario& s, bool prepared) {
    auto& word = s.make<Word>();
    s.thread("holder", [&] {
        lock(word);
        unlock(word);
    });
    s.thread("forks", [&, prepared] {
        auto before = [&, prepared] {
            if (prepared) lock(word);
        };
        auto after = [&, prepared] {
            if (prepared) unlock(word);
        };
        explorer::fork(before, after, [&, after] {
            after();
            lock(word);
            unlock(word);
        });
    });
    s.run();
}
const Registered fork_locked{"fork.locked_in_the_child",
                             [](Scenario& s) { fork_against_lock(s, false); },
                             {},
                             Kind::liveness};
const Registered fork_twin{"fork.prepared", [](Scenario& s) { fork_against_lock(s, true); }};

// A fork comes between any two steps of the others, of which the child sees what happened before.
const Registered fork_between{"fork.between_two_stores",
                              [](Scenario& s) {
                                  auto& one = s.make<Word>();
                                  auto& other = s.make<Word>();
                                  s.thread("forks", [&] {
                                      explorer::fork(
                                          [] {}, [] {},
                                          [&] {
                                              const bool first = one.load(Order::relaxed) != 0;
                                              const bool second = other.load(Order::relaxed) != 0;
                                              check(first == second, "one store without the other");
                                          });
                                  });
                                  s.thread("stores", [&] {
                                      one.store(1, Order::relaxed);
                                      other.store(1, Order::relaxed);
                                  });
                                  s.run();
                              },
                              {},
                              Kind::check};

}  // namespace
