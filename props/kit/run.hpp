// run.hpp: a history on a machine, from its first command to its end.
#pragma once

#include <string>
#include <vector>

#include "props/kit/broken.hpp"
#include "props/kit/language.hpp"

namespace kit {

// Gives each command to the machine's step(), then calls finish() if it has one. Empty text: all is
// well; else what was wrong, and where.
template <class Machine, class Command>
std::string run_on(Machine&& machine, const std::vector<Command>& commands) {
    std::size_t at = 0;
    const auto where = [&] {
        return at < commands.size()
                   ? " at command " + std::to_string(at + 1) + " (" + text_of(commands[at]) + ")"
                   : std::string(" at the end");
    };
    try {
        for (; at < commands.size(); ++at) machine.step(commands[at]);
        if constexpr (requires { machine.finish(); }) machine.finish();
    } catch (const Broken& e) {
        return e.what() + where();
    } catch (const ClientFault& f) {
        return std::string("a correct client was reported: ") + hak::text_of(f.fault) + where();
    }
    return {};
}

}  // namespace kit
