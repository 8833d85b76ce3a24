// bad.hpp: a case of ci/tidy.
#pragma once

inline int read(int* p) { return __atomic_load_n(p, 0); }
