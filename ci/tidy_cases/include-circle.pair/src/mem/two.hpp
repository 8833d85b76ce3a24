// two.hpp: a case of ci/tidy.
#pragma once

#include "mem/one.hpp"
