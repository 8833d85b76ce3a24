// heap_api_fuzz.cpp: bytes are a history of the whole heap.
#include "fuzz/history.hpp"
#include "fuzz/subject.hpp"

FUZZ_HISTORIES("heap_api", kit::Command, fuzz::run_heap)
