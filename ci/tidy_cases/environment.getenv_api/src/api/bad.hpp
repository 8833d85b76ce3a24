// bad.hpp: a case of ci/tidy.
#pragma once

inline const char* option() { return std::getenv("X"); }
