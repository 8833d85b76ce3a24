// one.hpp: a case of ci/tidy.
#pragma once

#include "mem/two.hpp"
