// canary_props.cpp: proof that the suites can see: worlds with a seeded defect, in which histories of the same distribution must fail, and
// shrink to a few commands.
#include "props/kit/machine.hpp"
#include "props/kit/pool_machine.hpp"
#include "props/kit/suite.hpp"

namespace {

template <kit::Defect kDefect>
std::string heap(const kit::Commands& commands) {
    return kit::run_history<kit::WorldOf<kDefect>>(commands);
}
template <kit::Defect kDefect>
std::string pool(const kit::PoolCommands& commands) {
    return kit::run_pool_history<kit::WorldOf<kDefect>>(commands);
}

}  // namespace

int main(int argc, char** argv) {
    using kit::Defect;
    kit::Suite suite(argc, argv, 1);
    const auto any = kit::history_generator<kit::Command>(400);
    const auto ranges = kit::history_generator<kit::PoolCommand>(300);
    suite.example("a remote block is lost", [&] { kit::require_caught<kit::Command>("a remote block is lost", any, 100, 12, heap<Defect::lost_remote_block>); });
    suite.example("a pending slab is lost", [&] { kit::require_caught<kit::Command>("a pending slab is lost", any, 100, 12, heap<Defect::lost_pending>); });
    suite.example("a purge lies", [&] {
        kit::require_caught<kit::Command>("a purge lies, the heap", any, 100, 12, heap<Defect::lying_purge>);
        kit::require_caught<kit::PoolCommand>("a purge lies, the pool", ranges, 100, 12, pool<Defect::lying_purge>);
    });
    return suite.finish();
}
