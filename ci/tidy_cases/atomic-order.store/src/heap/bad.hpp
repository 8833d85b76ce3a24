// bad.hpp: a case of ci/tidy.
#pragma once

inline void write() { word->store(1); }
