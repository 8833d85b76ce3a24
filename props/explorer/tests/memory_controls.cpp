// memory_controls.cpp: controls of the shadow memory: what is known about a place holds for
// accesses of other sizes too, and mapping is a write like others, wherever the next access comes
// from.
#include "props/explorer/driver.hpp"

namespace {

using explorer::Kind;
using explorer::Options;
using explorer::Registered;
using explorer::Scenario;
using explorer::Sync;
using Order = std::memory_order;

using Word = Sync::Atomic<unsigned>;
using Whole = Sync::Plain<std::uint64_t>;
using Half = Sync::Plain<std::uint32_t>;

// Eight bytes as one word and as two.
struct alignas(8) Place {
    unsigned char bytes[8]{};
    Whole& whole() { return *reinterpret_cast<Whole*>(bytes); }
    Half& half(unsigned i) { return *reinterpret_cast<Half*>(bytes + 4 * i); }
};

// Acts one after the other, each in a thread of its own, which goes on only if it sees that those
// before it are done. Whether that orders it behind one of them is what `pass_on` says of that one.
struct Act {
    Order pass_on;
    std::function<void()> act;
};
void in_turn(Scenario& s, const std::vector<Act>& acts) {
    Word* const done = s.make_array<Word>(acts.size());
    for (unsigned i = 0; i < acts.size(); ++i) {
        s.thread("act", [done, i, act = acts[i]] {
            for (unsigned before = 0; before < i; ++before) {
                if (done[before].load(Order::acquire) == 0) return;
            }
            act.act();
            done[i].store(1, act.pass_on);
        });
    }
    s.run();
}

// --- Cells of another shape ---

// Each pair names the two accesses; the second is to a part of the first, or the first to a part of
// the second.
void reshaped(Scenario& s, Order pass_on, bool first_writes, bool first_whole, bool second_writes) {
    auto& place = s.make<Place>();
    const auto access = [&place](bool whole, bool writes) {
        if (whole) return writes ? place.whole().set(1) : static_cast<void>(place.whole().get());
        return writes ? place.half(1).set(1) : static_cast<void>(place.half(1).get());
    };
    in_turn(s, {{pass_on, [=] { access(first_whole, first_writes); }},
                {Order::relaxed, [=] { access(!first_whole, second_writes); }}});
}
struct Reshaped {
    Reshaped(const std::string& name, bool first_writes, bool first_whole, bool second_writes) {
        for (const Order pass_on : {Order::relaxed, Order::release}) {
            const bool ordered = pass_on == Order::release;
            Registered(
                "reshaped." + name + (ordered ? ".ordered" : ""),
                [=](Scenario& s) {
                    reshaped(s, pass_on, first_writes, first_whole, second_writes);
                },
                {}, ordered ? Kind::none : Kind::data_race);
        }
    }
};
const Reshaped half_written_after_read("half_written_after_read", false, true, true);
const Reshaped half_read_after_write("half_read_after_write", true, true, false);
const Reshaped whole_written_after_read("whole_written_after_read", false, false, true);
const Reshaped whole_read_after_write("whole_read_after_write", true, false, false);

// What an atomic word held last is what its bytes hold.
const Registered value{
    "reshaped.value_of_a_word", [](Scenario& s) {
        auto& place = s.make<Place>();
        in_turn(
            s, {{Order::release,
                 [&] {
                     reinterpret_cast<Sync::Atomic<std::uint64_t>&>(place).store(7, Order::relaxed);
                 }},
                {Order::relaxed,
                 [&] { explorer::check(place.half(0).get() == 7, "a word's value is lost"); }}});
    }};

// What is left beside a new cell keeps the history of the old one, and the next cell leaves this
// one alone.
void beside(Scenario& s, Order first, Order second, unsigned carved) {
    auto& place = s.make<Place>();
    in_turn(s, {{first, [&] { place.whole().set(1); }},
                {second, [&, carved] { place.half(carved).set(2); }},
                {Order::relaxed, [&, carved] { place.half(1 - carved).get(); }},
                {Order::relaxed, [&, carved] { place.half(carved).get(); }}});
}
struct Beside {
    Beside(const std::string& name, unsigned carved) {
        const auto add = [&](const char* what, Order first, Order second) {
            const bool ordered = first == Order::release && second == Order::release;
            Registered(
                "reshaped." + name + what, [=](Scenario& s) { beside(s, first, second, carved); },
                {}, ordered ? Kind::none : Kind::data_race);
        };
        add(".old_history", Order::relaxed, Order::release);
        add(".new_history", Order::release, Order::relaxed);
        add(".ordered", Order::release, Order::release);
    }
};
const Beside tail{"tail", 0};
const Beside head{"head", 1};

// --- Mapping as a write ---

// The place has no access before: only its mapping can be what the later access races with.
void cleared_then(Scenario& s, Order pass_on, const std::function<void(Place&)>& then) {
    auto* const memory = static_cast<Place*>(explorer::reserve(explorer::kGrain, explorer::kGrain));
    explorer::map(memory, explorer::kGrain);
    in_turn(s, {{pass_on, [=] { explorer::clear(memory, explorer::kGrain); }},
                {Order::relaxed, [=] { then(*memory); }}});
}
struct Cleared {
    Cleared(const std::string& name, const std::function<void(Place&)>& then) {
        for (const bool sleep_sets : {false, true}) {
            // without, the first execution is the first that meets the place
            for (const Order pass_on : {Order::relaxed, Order::release}) {
                const bool ordered = pass_on == Order::release;
                Registered(
                    "mapping." + name + (sleep_sets ? "" : ".naive") + (ordered ? ".ordered" : ""),
                    [=](Scenario& s) { cleared_then(s, pass_on, then); },
                    Options{.sleep_sets = sleep_sets}, ordered ? Kind::none : Kind::data_race);
            }
        }
    }
};
const Cleared read_after("read_after", [](Place& place) { place.whole().get(); });
const Cleared load_after("load_after", [](Place& place) {
    reinterpret_cast<Word*>(&place)->load(Order::acquire);
});
const Cleared cleared_after("cleared_after",
                            [](Place& place) { explorer::clear(&place, explorer::kGrain); });
const Cleared unmapped_after("unmapped_after",
                             [](Place& place) { explorer::unmap(&place, explorer::kGrain); });

}  // namespace
