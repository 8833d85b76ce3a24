// controls.cpp: for each thing that the explorer detects, a scenario that has it and, where that
// says more, its correct twin. Here: data races, and memory that comes and goes; the rest is in
// memory_controls.cpp and more_controls.cpp.
#include <new>

#include "props/explorer/driver.hpp"

namespace {

using explorer::check;
using explorer::Kind;
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
const Registered race_read{"race.read_write",
                           [](Scenario& s) { read_against_write(s, Order::relaxed); },
                           {},
                           Kind::data_race};
const Registered race_read_twin{"race.read_write.ordered",
                                [](Scenario& s) { read_against_write(s, Order::release); }};

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
const Registered race_write{"race.write_write",
                            [](Scenario& s) { write_against_write(s, Order::relaxed); },
                            {},
                            Kind::data_race};
const Registered race_write_twin{"race.write_write.ordered",
                                 [](Scenario& s) { write_against_write(s, Order::release); }};

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
const Registered race_reader{
    "race.write_after_read", [](Scenario& s) { write_after_read(s, false); }, {}, Kind::data_race};
const Registered race_reader_twin{"race.write_after_read.ordered",
                                  [](Scenario& s) { write_after_read(s, true); }};

// Memory that is used again as an atomic word, while a late thread may still look at the word that
// it was.
void construct_again(Scenario& s, Order leave) {
    struct UnitRecord {
        Word header{7};
        Word users{1};
    };
    auto& slab = s.make<UnitRecord>();
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
const Registered race_construction{"race.construction",
                                   [](Scenario& s) { construct_again(s, Order::relaxed); },
                                   {},
                                   Kind::data_race};
const Registered race_construction_twin{"race.construction.ordered",
                                        [](Scenario& s) { construct_again(s, Order::release); }};

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
const Registered retire_late{
    "lifetime.unmapped_under_a_reader", [](Scenario& s) { retire(s, true); }, {}, Kind::data_race};
const Registered retire_twin{"lifetime.unmapped_by_the_last",
                             [](Scenario& s) { retire(s, false); }};

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
const Registered use_after_unmap{
    "lifetime.use_after_unmap", [](Scenario& s) { after_unmap(s, false); }, {}, Kind::lifetime};
const Registered use_after_unmap_twin{"lifetime.use_after_map",
                                      [](Scenario& s) { after_unmap(s, true); }};

// Two threads leave and the last one unmaps; one that is off by one takes both for the last.
void retire_twice(Scenario& s, unsigned last) {
    auto& users = s.make<Word>(2u);
    void* const memory = explorer::reserve(explorer::kGrain, explorer::kGrain);
    explorer::map(memory, explorer::kGrain);
    for (const char* name : {"first", "second"})
        s.thread(name, [&, memory, last] {
            if (users.fetch_sub(1, Order::acq_rel) <= last)
                explorer::unmap(memory, explorer::kGrain);
        });
    s.run();
}
const Registered double_retire{
    "lifetime.retired_twice", [](Scenario& s) { retire_twice(s, 2); }, {}, Kind::lifetime};
const Registered double_retire_twin{"lifetime.retired_once",
                                    [](Scenario& s) { retire_twice(s, 1); }};

const Registered map_mapped{"lifetime.mapped_twice",
                            [](Scenario& s) {
                                void* const memory =
                                    explorer::reserve(explorer::kGrain, explorer::kGrain);
                                s.thread("maps", [memory] {
                                    explorer::map(memory, explorer::kGrain);
                                    explorer::map(memory, explorer::kGrain);
                                });
                                s.run();
                            },
                            {},
                            Kind::lifetime};

}  // namespace
