// bad.hpp: a case of ci/tidy.
#pragma once

#ifdef HAKMEM_FAST
inline int fast;
#endif
