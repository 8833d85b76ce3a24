// bad.hpp: a case of ci/tidy.
#pragma once

#include "base/bad.hpp"
