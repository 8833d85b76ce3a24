/* other.h: a case of ci/tidy. */
