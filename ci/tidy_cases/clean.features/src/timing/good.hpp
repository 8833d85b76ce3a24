// good.hpp: a case of ci/tidy.
#pragma once

#include "sys/probe.hpp"

inline thread_local void* innermost = nullptr;
