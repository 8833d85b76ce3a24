// bad.hpp: a case of ci/tidy.
#pragma once

#include "api/front.hpp"
