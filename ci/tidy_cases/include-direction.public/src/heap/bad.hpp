// bad.hpp: a case of ci/tidy.
#pragma once

#include "hakmem/hakmem.h"
