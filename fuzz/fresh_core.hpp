// fresh_core.hpp: the library with real threads, whose state an input does not inherit:
// reset_core() makes it what it is before the first call of a process, at the same addresses, with
// the same secret.
#pragma once

namespace fuzz {

// Precondition: no other thread has a heap or will be inside the allocator until this returns; no
// block is used any more.
void reset_core();

}  // namespace fuzz
