// heap_props.cpp: the whole heap under the command language: every history of four threads leaves
// every judge content.
#include "props/kit/machine.hpp"
#include "props/kit/suite.hpp"

namespace {

using kit::Command;
using kit::Commands;
using kit::TinyWorld;

// Two threads and small blocks alone: lists, remote frees and slabs at full depth.
void stay_small(Command& command) {
    std::visit(
        [](auto& c) {
            if constexpr (requires { c.n.v; }) c.n.v %= 257;
            if constexpr (requires { c.t.v; }) c.t.v %= 2;
        },
        command);
}
// One class, so that slabs fill, drain and change hands.
void stay_in_one_class(Command& command) {
    std::visit(
        [](auto& c) {
            if constexpr (requires { c.n.v; }) c.n.v = 200;
        },
        command);
}

// Frees by other threads than the owner's, in halves; threads that end, are born, fork and visit.
void stay_remote(Command& command) {
    stay_in_one_class(command);
    std::visit(
        [&command]<class C>(const C& c) {
            if constexpr (std::is_same_v<C, kit::Realloc> || std::is_same_v<C, kit::Calloc> ||
                          std::is_same_v<C, kit::Aligned>) {
                command = kit::Post{c.t, c.h};
            }
        },
        Command(command));
    std::visit(
        [](auto& c) {
            if constexpr (requires { c.h.v; }) c.h.v %= 64;
            if constexpr (requires { c.x.v; }) c.x.v %= 12;
        },
        command);
}

// Changes of a unit that the histories must have met; else the generators have become too weak to
// show anything.
constexpr std::pair<const char*, const char*> kWanted[] = {
    {"free", "owned.full"},
    {"free", "large"},
    {"free", "big"},
    {"large", "free"},
    {"big", "free"},
    {"owned.full", "owned.room"},
    {"owned.room", "owned.full"},
    {"owned.full", "owned.full.queued"},
    {"owned.room", "owned.room.queued"},
    {"owned.full.queued", "owned.room"},
    {"owned.full.queued", "owned.full"},
    {"owned.room", "free"},
    {"owned.empty", "free"},
    {"owned.full", "orphan.room"},
    {"owned.full", "orphan.full"},
    {"owned.room", "orphan.room"},
    {"owned.full.queued", "orphan.room"},
    {"orphan.full", "orphan.full.queued"},
    {"orphan.room", "orphan.room.queued"},
    {"orphan.room", "owned.full"},
    {"orphan.room", "owned.room"},
    {"orphan.full", "owned.full"},
    {"orphan.room.queued", "free"},
    {"orphan.full.queued", "free"},
    {"owned.full", "frozen.full"},
    {"owned.room", "frozen.room"},
    {"frozen.full", "frozen.full.queued"},
    {"large", "owned.full"},
    {"owned.full", "free"},
};

}  // namespace

int main(int argc, char** argv) {
    kit::Suite suite(argc, argv, 1500);
    kit::Pairs pairs;
    const auto run = [&](const Commands& commands) {
        return kit::run_history<TinyWorld>(commands, {}, &pairs);
    };
    const auto both_sides = [&](const Commands& commands) {
        return kit::run_history<TinyWorld>(commands, {}, &pairs, true);
    };
    const auto any = kit::history_generator<Command>(400);

    suite.histories<Command>("props_heap.any", any, both_sides);
    suite.histories<Command>("props_heap.small", kit::history_generator<Command>(400, stay_small),
                             run);
    suite.histories<Command>("props_heap.one_class",
                             kit::history_generator<Command>(400, stay_in_one_class), run);

    suite.histories<Command>("props_heap.remote", kit::history_generator<Command>(300, stay_remote),
                             run);

    suite.property("text and bytes say the same as the structs", [&] {
        const Commands commands = *any;
        RC_ASSERT(kit::parse<Command>(kit::text_of(commands)) == commands);
        const std::string bytes = kit::encode(commands);
        const Commands again = kit::decode<Command>(
            reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), SIZE_MAX);
        RC_ASSERT(again == commands);
    });

    suite.example("every change of state that is claimed was met", [&] {
        pairs.print(std::cerr, "units of the window");
        if (suite.is_full()) pairs.require_met(kWanted);
    });
    return suite.finish();
}
