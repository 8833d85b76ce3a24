// pool_props.cpp: the state model of superslabs: units and slots of the window, their buckets, runs and queues, and what reclaim returns.
#include "props/kit/pool_machine.hpp"
#include "props/kit/suite.hpp"

namespace {

using kit::PoolCommand;
using kit::PoolCommands;

constexpr std::pair<const char*, const char*> kWanted[] = {
    {"untouched", "big"}, {"untouched", "units.clean"}, {"untouched", "units.full"}, {"big", "cached.dirty"}, {"units.dirty", "cached.dirty"},
    {"units.full", "cached.dirty"}, {"units.clean", "units.dirty"}, {"units.dirty", "units.clean"}, {"units.full", "units.dirty"}, {"units.clean", "units.full"},
    {"cached.dirty", "cached.clean"}, {"cached.clean", "cached.dirty"}, {"cached.dirty", "big"}, {"cached.clean", "big"}, {"cached.dirty", "units.dirty"},
    {"cached.clean", "units.clean"}, {"cached.clean", "reserved"}, {"cached.dirty", "reserved"}, {"reserved", "big"}, {"reserved", "units.clean"},
    {"untouched", "reserved"}, {"units.clean", "cached.dirty"},
};

// What was decommitted just before the untouched slots is one run with them, for a block that grows and for a fresh one.
void across_the_frontier() {
    using W = kit::TinyWorld;
    constexpr std::size_t kSlot = W::kConfig.superslab_bytes();
    for (const bool grows : {true, false}) {
        kit::reset_world<W>();
        kit::require(hak::start<W>(), "no window");
        const auto slots = static_cast<std::uint32_t>(hak::window<W>.slot_count());
        auto& pool = hak::pool<W>;
        const auto acquire = [&](std::uint32_t count) { return pool.acquire_slots(count, kSlot, hak::Pool<W>::Use::block).address; };
        const hak::Address first = acquire(1), behind = acquire(2);
        pool.release_slots(behind, hak::Pool<W>::Wait::decay, 0);
        hak::reclaim<W>.everything(true);
        if (grows) {
            kit::require(pool.extend_slots(first, 1, slots), "a block did not grow across the frontier");
        } else {
            kit::require(acquire(slots - 1) == behind, "a block of all slots but one found no place");
        }
        kit::Auditor<W>().check(kit::Auditor<W>::Scope::pool, true);
    }
}

}  // namespace

int main(int argc, char** argv) {
    kit::Suite suite(argc, argv, 1500);
    kit::Pairs pairs;
    const auto histories = kit::history_generator<PoolCommand>(300);
    suite.histories<PoolCommand>("props_pool", histories, [&](const PoolCommands& c) { return kit::run_pool_history<kit::TinyWorld>(c, &pairs); });
    suite.example("every change of state that is claimed was met", [&] {
        pairs.print(std::cerr, "slots");
        if (!suite.is_full()) return;
        for (const auto& [from, to] : kWanted) kit::require(pairs.count(from, to) != 0, "no history went from ", from, " to ", to);
    });
    suite.example("across the frontier", across_the_frontier);
    return suite.finish();
}
