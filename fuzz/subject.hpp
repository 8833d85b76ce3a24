// subject.hpp: what the targets drive, compiled once for all of them: the whole heap, and the pool with reclaim, each from the same bits.
#pragma once

#include <string>

#include "props/kit/commands.hpp"
#include "props/kit/pool_machine.hpp"

namespace fuzz {

std::string run_heap(const kit::Commands& commands);
std::string run_pool(const kit::PoolCommands& commands);

}  // namespace fuzz
