// bad.hpp: a case of ci/tidy.
#pragma once

extern char** environ;
