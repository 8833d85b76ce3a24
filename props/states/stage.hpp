// stage.hpp: the histories of the state models. The commands are those of the whole heap, and two
// more: a thread's next call stops half-way, at its i-th change of a word that threads share or
// before its i-th system call; and it goes on.
#pragma once

#include <string>

#include "props/kit/commands.hpp"

namespace states {

struct At : kit::Field<'i', 12, 1> {};
struct Pause {
    kit::Thread t;
    At i;
    KIT_COMMAND(Pause, "pause", 40, t, i)
};
struct Resume {
    kit::Thread t;
    KIT_COMMAND(Resume, "resume", 14, t)
};

using Command = std::variant<kit::Malloc, kit::Aligned, kit::Free, kit::Fill, kit::Sweep, kit::Exit,
                             kit::Start, kit::Fork, kit::Trim, kit::Advance, kit::FailNext,
                             kit::Heal, kit::Hook, Pause, Resume>;
using Commands = std::vector<Command>;

class Watch;
// What was wrong; empty if nothing was.
std::string run(const Commands& commands, Watch& watch);
// Prints which changes were seen; throws Broken if one is missing and the run is a full one.
void require_all_seen(Watch& watch, bool is_full);

// The models, each in a translation unit of its own.
struct Model {
    const char* name;
    Watch& (*watch)();
    unsigned cases;
    double length;
    void (*pick)(Command&);  // keeps the histories in the machine's corner
};
Watch& token_watch();
Watch& remote_watch();
Watch& list_watch();
Watch& block_watch();
Watch& slab_watch();
Watch& superslab_watch();
Watch& reclaim_watch();
Watch& window_watch();
Watch& whole_watch();

}  // namespace states
