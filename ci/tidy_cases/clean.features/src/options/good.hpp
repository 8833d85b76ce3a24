// good.hpp: a case of ci/tidy.
#pragma once

#include <cstdlib>

#include "base/config.hpp"

#if HAKMEM_DEBUG
inline const char* options() { return std::getenv("HAKMEM_OPTIONS"); }
#endif
