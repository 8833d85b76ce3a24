// four.hpp: a case of ci/tidy.
#pragma once

#include "heap/two.hpp"
