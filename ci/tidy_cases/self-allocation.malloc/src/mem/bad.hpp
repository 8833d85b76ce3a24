// bad.hpp: a case of ci/tidy.
#pragma once

inline void* take() { return malloc(16); }
