// bad.hpp: a case of ci/tidy.
#pragma once

#include "props/kit/commands.hpp"
