// bad.hpp: a case of ci/tidy.
#pragma once

#include "policy/counters.hpp"
