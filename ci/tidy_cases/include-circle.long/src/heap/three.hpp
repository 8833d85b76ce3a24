// three.hpp: a case of ci/tidy.
#pragma once

#include "base/bits.hpp"
#include "heap/four.hpp"
