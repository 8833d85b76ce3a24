// controls.cpp: for each thing that the explorer detects, a scenario that has it and, where that says more, its correct twin.
#include <new>

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

struct Message {
    Data data;
    Word flag;
};

// --- Data races ---

void read_against_write(Scenario& s, Order publish) {
    auto& m = s.make<Message>();
    s.thread("writer", [&, publish] {
        m.data.set(1);
        m.flag.store(1, publish);
    });
    s.thread("reader", [&] {
        if (m.flag.load(Order::acquire)) check(m.data.get() == 1, "a stale message");
    });
    s.run();
}
const Registered race_read{"race.read_write", [](Scenario& s) { read_against_write(s, Order::relaxed); }, {}, Kind::data_race};
const Registered race_read_twin{"race.read_write.ordered", [](Scenario& s) { read_against_write(s, Order::release); }};

void write_against_write(Scenario& s, Order hand_over) {
    auto& m = s.make<Message>();
    for (unsigned t = 1; t <= 2; ++t)
        s.thread(t == 1 ? "one" : "two", [&, t, hand_over] {
            explorer::await([&] { return m.flag.load(Order::acquire) == t - 1; });
            m.data.set(t);
            m.flag.store(t, hand_over);
        });
    s.finally([&] { check(m.data.get() == 2, "the second write is the last"); });
    s.run();
}
const Registered race_write{"race.write_write", [](Scenario& s) { write_against_write(s, Order::relaxed); }, {}, Kind::data_race};
const Registered race_write_twin{"race.write_write.ordered", [](Scenario& s) { write_against_write(s, Order::release); }};

// A read that comes first and a write that knows nothing of it.
void write_after_read(Scenario& s, bool confirmed) {
    auto& m = s.make<Message>();
    s.thread("reader", [&] {
        m.data.get();
        m.flag.store(1, Order::release);
    });
    s.thread("writer", [&, confirmed] {
        if (confirmed) explorer::await([&] { return m.flag.load(Order::acquire) == 1; });
        m.data.set(1);
    });
    s.run();
}
const Registered race_reader{"race.write_after_read", [](Scenario& s) { write_after_read(s, false); }, {}, Kind::data_race};
const Registered race_reader_twin{"race.write_after_read.ordered", [](Scenario& s) { write_after_read(s, true); }};

// Memory that is used again as an atomic word, while a late thread may still look at the word that it was.
void construct_again(Scenario& s, Order leave) {
    struct Slab {
        Word header{7};
        Word users{1};
    };
    auto& slab = s.make<Slab>();
    s.thread("late", [&, leave] {
        check(slab.header.load(Order::relaxed) == 7, "the header of the next owner");
        slab.users.store(0, leave);
    });
    s.thread("owner", [&] {
        explorer::await([&] { return slab.users.load(Order::acquire) == 0; });
        ::new (&slab.header) Word(8);
    });
    s.run();
}
const Registered race_construction{"race.construction", [](Scenario& s) { construct_again(s, Order::relaxed); }, {}, Kind::data_race};
const Registered race_construction_twin{"race.construction.ordered", [](Scenario& s) { construct_again(s, Order::release); }};

// The same, where the access comes second.
const Registered race_with_constructed{"race.access_of_the_constructed",
                                       [](Scenario& s) {
                                           auto& header = s.make<Word>(7u);
                                           s.thread("constructs", [&] { ::new (&header) Word(8); });
                                           s.thread("reads", [&] { header.load(Order::acquire); });
                                           s.run();
                                       },
                                       {},
                                       Kind::data_race};

// --- Memory that comes and goes ---

struct Pages {
    Word users{2};
    Message* message = nullptr;
};

// Two threads leave, the last one unmaps; `touch_late` reads once more after having left.
void retire(Scenario& s, bool touch_late) {
    auto& pages = s.make<Pages>();
    void* const memory = explorer::reserve(explorer::kGrain, explorer::kGrain);
    explorer::map(memory, explorer::kGrain);
    pages.message = ::new (memory) Message();
    for (const char* name : {"first", "second"})
        s.thread(name, [&, memory, touch_late] {
            if (!touch_late) pages.message->data.get();
            const bool last = pages.users.fetch_sub(1, Order::acq_rel) == 1;
            if (last) return explorer::unmap(memory, explorer::kGrain);
            if (touch_late) pages.message->data.get();
        });
    s.run();
}
const Registered retire_late{"lifetime.unmapped_under_a_reader", [](Scenario& s) { retire(s, true); }, {}, Kind::data_race};
const Registered retire_twin{"lifetime.unmapped_by_the_last", [](Scenario& s) { retire(s, false); }};

// The access happens after the unmapping: no race, but nothing is there.
void after_unmap(Scenario& s, bool map_again) {
    auto& flag = s.make<Word>();
    void* const memory = explorer::reserve(explorer::kGrain, explorer::kGrain);
    explorer::map(memory, explorer::kGrain);
    auto* const data = ::new (memory) Data(1);
    s.thread("unmaps", [&, memory, map_again] {
        explorer::unmap(memory, explorer::kGrain);
        if (map_again) explorer::map(memory, explorer::kGrain);
        flag.store(1, Order::release);
    });
    s.thread("reads", [&, data] {
        if (flag.load(Order::acquire)) check(data->get() == 0, "mapped memory is zero");
    });
    s.run();
}
const Registered use_after_unmap{"lifetime.use_after_unmap", [](Scenario& s) { after_unmap(s, false); }, {}, Kind::lifetime};
const Registered use_after_unmap_twin{"lifetime.use_after_map", [](Scenario& s) { after_unmap(s, true); }};

// Two threads leave and the last one unmaps; one that is off by one takes both for the last.
void retire_twice(Scenario& s, unsigned last) {
    auto& users = s.make<Word>(2u);
    void* const memory = explorer::reserve(explorer::kGrain, explorer::kGrain);
    explorer::map(memory, explorer::kGrain);
    for (const char* name : {"first", "second"})
        s.thread(name, [&, memory, last] {
            if (users.fetch_sub(1, Order::acq_rel) <= last) explorer::unmap(memory, explorer::kGrain);
        });
    s.run();
}
const Registered double_retire{"lifetime.retired_twice", [](Scenario& s) { retire_twice(s, 2); }, {}, Kind::lifetime};
const Registered double_retire_twin{"lifetime.retired_once", [](Scenario& s) { retire_twice(s, 1); }};

const Registered map_mapped{"lifetime.mapped_twice",
                            [](Scenario& s) {
                                void* const memory = explorer::reserve(explorer::kGrain, explorer::kGrain);
                                s.thread("maps", [memory] {
                                    explorer::map(memory, explorer::kGrain);
                                    explorer::map(memory, explorer::kGrain);
                                });
                                s.run();
                            },
                            {},
                            Kind::lifetime};

// --- Waiting ---

// A sleeper announces itself and looks once more; a waker leaves work and looks for sleepers. Without a total order each may miss the other.
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
const Registered lost_wake_up{"liveness.lost_wake_up", [](Scenario& s) { wake_up(s, Order::release, Order::acquire); }, {},
                              Kind::liveness};
const Registered lost_wake_up_twin{"liveness.wake_up", [](Scenario& s) { wake_up(s, Order::seq_cst, Order::seq_cst); }};

void lock(Word& word) {
    for (Sync::Loop loop;;) {
        unsigned expected = 0;
        if (word.cas_strong(expected, 1, Order::acquire, Order::relaxed)) return;
        loop.wait();
    }
}
void unlock(Word& word) { word.store(0, Order::release); }

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
    s.thread("ba", [&, both, same_order] { same_order ? both(locks.a, locks.b) : both(locks.b, locks.a); });
    s.finally([&] { check(locks.guarded.get() == 2, "both were inside"); });
    s.run();
}
const Registered deadlock{"liveness.deadlock", [](Scenario& s) { two_locks(s, false); }, {}, Kind::liveness};
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
                          Options{.step_bound = 50},
                          Kind::step_bound};

// A round of a loop that others can see may not be cut: what it did is still there when the loop has ended, here after two rounds.
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
                                       const bool done = goal.cas_strong(expected, 2, Order::relaxed, Order::relaxed);
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

// --- What the test itself asks ---

const Registered check_in_thread{"check.in_a_thread",
                                 [](Scenario& s) {
                                     auto& word = s.make<Word>();
                                     s.thread("stores", [&] { word.store(1, Order::relaxed); });
                                     s.thread("reads", [&] { check(word.load(Order::relaxed) == 0, "the word has changed"); });
                                     s.run();
                                 },
                                 {},
                                 Kind::check};

// Two threads take the same block and one of them gives it back, so that one count is lost: found when all is over.
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
                            s.thread("chooses", [] { check(explorer::choose(5) != 3, "three was chosen"); });
                            s.run();
                        },
                        {},
                        Kind::check};

const Registered chosen_twice{"check.two_choices",
                              [](Scenario& s) {
                                  s.thread("chooses", [] {
                                      const bool first = explorer::choose(2) != 0;
                                      check(!(explorer::choose(2) != 0 && first), "both were chosen");
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
                               volatile unsigned* const p = word.load(Order::relaxed) ? nullptr : &local;
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
                        Options{.max_executions = 5},
                        Kind::budget};

// --- fork() ---

// The child has one thread; a lock that another thread held stays locked unless the fork waits for it.
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
const Registered fork_locked{"fork.locked_in_the_child", [](Scenario& s) { fork_against_lock(s, false); }, {}, Kind::liveness};
const Registered fork_twin{"fork.prepared", [](Scenario& s) { fork_against_lock(s, true); }};

// A fork comes between any two steps of the others, of which the child sees what happened before.
const Registered fork_between{"fork.between_two_stores",
                              [](Scenario& s) {
                                  auto& m = s.make<Message>();
                                  auto& other = s.make<Word>();
                                  s.thread("forks", [&] {
                                      explorer::fork([] {}, [] {},
                                                     [&] {
                                                         const bool first = m.flag.load(Order::relaxed) != 0;
                                                         const bool second = other.load(Order::relaxed) != 0;
                                                         check(first == second, "one store without the other");
                                                     });
                                  });
                                  s.thread("stores", [&] {
                                      m.flag.store(1, Order::relaxed);
                                      other.store(1, Order::relaxed);
                                  });
                                  s.run();
                              },
                              {},
                              Kind::check};

}  // namespace
