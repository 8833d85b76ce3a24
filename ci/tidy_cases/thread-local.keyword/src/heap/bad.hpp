// bad.hpp: a case of ci/tidy.
#pragma once

inline thread_local int counter = 0;
