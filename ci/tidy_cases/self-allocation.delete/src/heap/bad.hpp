// bad.hpp: a case of ci/tidy.
#pragma once

inline void give(int* p) { delete p, p = nullptr; }
