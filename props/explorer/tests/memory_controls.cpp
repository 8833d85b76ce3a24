// memory_controls.cpp: controls of the shadow memory: what is known about a place holds for accesses of other sizes too, and mapping is a
// write like others, wherever the next access comes from.
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

// Acts one after the other, each in a thread of its own, which goes on only if it sees that the one before it is done. Whether that orders them
// is what `pass_on` says of each.
struct Act {
    Order pass_on;
    std::function<void()> act;
};
void in_turn(Scenario& s, const std::vector<Act>& acts) {
    Word* const done = s.make_array<Word>(acts.size());
    for (unsigned i = 0; i < acts.size(); ++i) {
        s.thread("act", [done, i, act = acts[i]] {
            if (i != 0 && done[i - 1].load(Order::acquire) == 0) return;
            act.act();
            done[i].store(1, act.pass_on);
        });
    }
    s.run();
}

// --- Cells of another shape ---

// Each pair names the two accesses; the second is to a part of the first, or the first to a part of the second.
void reshaped(Scenario& s, Order pass_on, bool first_writes, bool first_whole, bool second_writes) {
    auto& place = s.make<Place>();
    const auto access = [&place](bool whole, bool writes) {
        if (whole) return writes ? place.whole().set(1) : static_cast<void>(place.whole().get());
        return writes ? place.half(1).set(1) : static_cast<void>(place.half(1).get());
    };
    in_turn(s, {{pass_on, [=] { access(first_whole, first_writes); }}, {Order::relaxed, [=] { access(!first_whole, second_writes); }}});
}
struct Reshaped {
    Reshaped(const std::string& name, bool first_writes, bool first_whole, bool second_writes) {
        for (const Order pass_on : {Order::relaxed, Order::release}) {
            const bool ordered = pass_on == Order::release;
            Registered("reshaped." + name + (ordered ? ".ordered" : ""),
                       [=](Scenario& s) { reshaped(s, pass_on, first_writes, first_whole, second_writes); }, {},
                       ordered ? Kind::none : Kind::data_race);
        }
    }
};
const Reshaped half_written_after_read("half_written_after_read", false, true, true);
const Reshaped half_read_after_write("half_read_after_write", true, true, false);
const Reshaped whole_written_after_read("whole_written_after_read", false, false, true);
const Reshaped whole_read_after_write("whole_read_after_write", true, false, false);

// What is left beside a new cell keeps the history of the old one.
void beside(Scenario& s, Order pass_on, unsigned carved) {
    auto& place = s.make<Place>();
    in_turn(s, {{Order::release, [&] { place.whole().set(1); }},
                {pass_on, [&, carved] { place.half(carved).set(2); }},
                {Order::relaxed, [&, carved] { place.half(1 - carved).get(); }}});
}
const Registered tail{"reshaped.tail", [](Scenario& s) { beside(s, Order::relaxed, 0); }, {}, Kind::data_race};
const Registered tail_twin{"reshaped.tail.ordered", [](Scenario& s) { beside(s, Order::release, 0); }};
const Registered head{"reshaped.head", [](Scenario& s) { beside(s, Order::relaxed, 1); }, {}, Kind::data_race};
const Registered head_twin{"reshaped.head.ordered", [](Scenario& s) { beside(s, Order::release, 1); }};

// --- Mapping as a write ---

// The place has no access before: only its mapping can be what the later access races with.
void cleared_then(Scenario& s, Order pass_on, const std::function<void(Place&)>& then) {
    auto* const memory = static_cast<Place*>(explorer::reserve(explorer::kGrain, explorer::kGrain));
    explorer::map(memory, explorer::kGrain);
    in_turn(s, {{pass_on, [=] { explorer::clear(memory, explorer::kGrain); }}, {Order::relaxed, [=] { then(*memory); }}});
}
struct Cleared {
    Cleared(const std::string& name, const std::function<void(Place&)>& then) {
        for (const bool sleep_sets : {false, true}) {  // without, the first execution is the first that meets the place
            for (const Order pass_on : {Order::relaxed, Order::release}) {
                const bool ordered = pass_on == Order::release;
                Registered("mapping." + name + (sleep_sets ? "" : ".naive") + (ordered ? ".ordered" : ""),
                           [=](Scenario& s) { cleared_then(s, pass_on, then); }, Options{.sleep_sets = sleep_sets},
                           ordered ? Kind::none : Kind::data_race);
            }
        }
    }
};
const Cleared read_after("read_after", [](Place& place) { place.whole().get(); });
const Cleared load_after("load_after", [](Place& place) { reinterpret_cast<Word*>(&place)->load(Order::acquire); });
const Cleared cleared_after("cleared_after", [](Place& place) { explorer::clear(&place, explorer::kGrain); });
const Cleared unmapped_after("unmapped_after", [](Place& place) { explorer::unmap(&place, explorer::kGrain); });

}  // namespace
