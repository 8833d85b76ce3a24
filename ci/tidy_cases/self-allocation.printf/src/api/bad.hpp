// bad.hpp: a case of ci/tidy.
#pragma once

inline void say() { std::printf("x"); }
