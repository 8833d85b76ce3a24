// The same program as C++.
#include "check_subject.c"
