// superslab_fuzz.cpp: bytes are a history of superslabs: the pool and reclaim without heaps.
#include "fuzz/history.hpp"
#include "fuzz/subject.hpp"

FUZZ_HISTORIES("superslab", kit::PoolCommand, fuzz::run_pool)
