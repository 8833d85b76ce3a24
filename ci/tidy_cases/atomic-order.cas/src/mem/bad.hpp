// bad.hpp: a case of ci/tidy.
#pragma once

inline bool swap(int& x) { return word.cas_strong(x, 1,
    order::acq_rel); }
