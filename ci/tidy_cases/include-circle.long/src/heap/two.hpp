// two.hpp: a case of ci/tidy.
#pragma once

#include "heap/three.hpp"
