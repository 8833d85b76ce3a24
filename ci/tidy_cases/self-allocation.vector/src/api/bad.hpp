// bad.hpp: a case of ci/tidy.
#pragma once

inline int sum(const std::vector<int>& v);
