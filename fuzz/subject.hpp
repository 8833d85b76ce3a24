// subject.hpp: what the targets drive, compiled once for all of them: the whole heap, and the pool
// with reclaim, each from the same bits.
#pragma once

#include <string>
#include <vector>

#include "fuzz/harness.hpp"
#include "props/kit/commands.hpp"
#include "props/kit/pool_machine.hpp"

namespace fuzz {

// They run in a world; a program may hold others, each with a defect, one of which may be seeded.
struct Subject {
    Defect defect;
    std::string (*run_heap)(const kit::Commands&);
    std::string (*run_pool)(const kit::PoolCommands&);
};
inline std::vector<const Subject*>& subjects() {
    static std::vector<const Subject*> all;
    return all;
}
// The one with the seeded defect, else the one with none.
inline const Subject& subject() {
    const Subject* chosen = nullptr;
    for (const Subject* const s : subjects()) {
        if (s->defect || (chosen == nullptr && s->defect.name() == "none")) chosen = s;
    }
    return *chosen;
}

inline std::string run_heap(const kit::Commands& commands) {
    return subject().run_heap(commands);
}
inline std::string run_pool(const kit::PoolCommands& commands) {
    return subject().run_pool(commands);
}

}  // namespace fuzz
