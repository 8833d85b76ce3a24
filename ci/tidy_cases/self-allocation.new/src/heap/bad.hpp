// bad.hpp: a case of ci/tidy.
#pragma once

inline int* take() { return new int; }
