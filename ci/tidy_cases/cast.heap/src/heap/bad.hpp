// bad.hpp: a case of ci/tidy.
#pragma once

inline int* view(long* p) { return reinterpret_cast<int*>(p); }
