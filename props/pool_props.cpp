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
    return suite.finish();
}
