// one.hpp: a case of ci/tidy.
#pragma once

#include "heap/three.hpp"
#include "heap/two.hpp"
