// bad.hpp: a case of ci/tidy.
#pragma once

inline int* take(void* p) { return new (p) int; }
