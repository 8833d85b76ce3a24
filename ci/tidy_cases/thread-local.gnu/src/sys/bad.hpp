// bad.hpp: a case of ci/tidy.
#pragma once

static __thread int counter;
