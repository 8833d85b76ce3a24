// bad.hpp: a case of ci/tidy.
#pragma once

inline int read() { return word.load(); }
