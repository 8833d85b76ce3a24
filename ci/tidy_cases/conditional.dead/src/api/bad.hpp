// bad.hpp: a case of ci/tidy.
#pragma once

#if 0
inline int dead;
#endif
