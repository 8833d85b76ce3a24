// a_fuzz.cpp: a target.
