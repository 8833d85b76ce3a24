// bad.hpp: a case of ci/tidy.
