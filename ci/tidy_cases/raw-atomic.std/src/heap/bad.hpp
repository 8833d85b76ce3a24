// bad.hpp: a case of ci/tidy.
#pragma once

inline std::atomic_ref<int>* word;
